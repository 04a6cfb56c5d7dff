// See follow_mappings.h.
#include "core/ops/follow_mappings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/ops/mapping_lines.h"
#include "core/session/readers.h"
#include "core/sys/no_symlinks.h"
#include "core/walk/copied_from.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

constexpr uint32_t kMost = 64;  // more wait for the next time

struct Mapped {
  uintptr_t from;
  size_t size;
  uint64_t offset;
  int protection;
  CStr lower;
};

// Those of files that somebody may have changed since they were opened to be read.
class Candidates final : public MappingVisitor {
 public:
  explicit Candidates(Op& op) : op_(op), all_(op.arena().array<Mapped>(kMost)) {}

  bool see(const MappingLine& line) override {
    if (all_ == nullptr || count_ == kMost) return false;
    if (!line.shared || line.writable || line.path.empty() || line.path.find('\\') != SIZE_MAX ||
        !op_.session().in_some_layer(line.path))
      return true;
    StatX file{};
    file.stx_mode = S_IFREG;
    file.stx_dev_major = line.dev_major;
    file.stx_dev_minor = line.dev_minor;
    file.stx_ino = line.ino;
    if (!may_have_readers(op_.session(), file)) return true;
    const int protection = (line.readable ? PROT_READ : 0) | (line.executable ? PROT_EXEC : 0);
    all_[count_++] =
        Mapped{line.from, line.to - line.from, line.offset, protection, op_.arena().dup(line.path)};
    return true;
  }
  uint32_t count() const { return count_; }
  const Mapped& operator[](uint32_t i) const { return all_[i]; }

 private:
  Op& op_;
  Mapped* const all_;
  uint32_t count_ = 0;
};

// The caller's record locks on a file go when it closes any descriptor of it.
Result<bool> has_open(Op& op, const StatX& file) {
  const DescriptorList list = TRY(op.caller().descriptors(op.arena()));
  for (uint32_t i = 0; i < list.count; i++) {
    struct stat st;
    if (op.caller().fstat(list.numbers[i], &st).ok() && st.st_ino == file.stx_ino &&
        st.st_dev == makedev(file.stx_dev_major, file.stx_dev_minor))
      return true;
  }
  return false;
}

// The copy of a lower's file that has its own data.
Result<UniqueFd> open_copy(Op& op, CStr lower) {
  const CStr virt = TRY(map_back(op, lower));
  const Node* node = TRY(node_at(op, virt));
  if (node->outside() || !node->is_regular() || !node->has_upper_inode() || node->metacopy() ||
      !TRY(is_copied_from(op, *node, lower)))
    return Error(ENOENT);
  if (TRY(has_open(op, node->real))) return Error(EBUSY);
  UniqueFd copy = TRY(sys_open_no_symlinks(node->top(), O_RDONLY | O_NONBLOCK));
  StatX st;
  TRY(sys_fstat(copy.get(), &st));
  if (st.stx_ino != node->real.stx_ino) return Error(ESTALE);
  return copy;
}

}  // namespace

void follow_mappings(Op& op) {
  if (!op.caller().owns_memory()) return;
  Candidates all(op);
  if (!see_mappings(op, all).ok()) return;
  for (uint32_t i = 0; i < all.count(); i++) {
    const Mapped& mapped = all[i];
    const Result<UniqueFd> copy = open_copy(op, mapped.lower);
    // Where it fails the old one is still there.
    if (copy.ok())
      raw_call(SYS_mmap, mapped.from, mapped.size, mapped.protection, MAP_SHARED | MAP_FIXED,
               copy.value().get(), mapped.offset);
  }
}

}  // namespace ovl
