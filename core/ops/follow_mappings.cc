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

// A descriptor of the caller's own on this file, that it can read by; -1: it has none at all.
// EBUSY: none to read by.
Result<int> own_descriptor(Op& op, const StatX& file) {
  const DescriptorList list = TRY(op.caller().descriptors(op.arena()));
  bool has_some = false;
  for (uint32_t i = 0; i < list.count; i++) {
    const int fd = list.numbers[i];
    struct stat st;
    if (!op.caller().fstat(fd, &st).ok() || st.st_ino != file.stx_ino ||
        st.st_dev != makedev(file.stx_dev_major, file.stx_dev_minor))
      continue;
    has_some = true;
    const long flags = raw_call(SYS_fcntl, fd, F_GETFL);
    if (flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_WRONLY) return fd;
  }
  return has_some ? Result<int>(Error(EBUSY)) : -1;
}

const Node* copy_of(Op& op, CStr lower) {
  const Result<CStr> virt = map_back(op, lower);
  if (!virt.ok()) return nullptr;
  const Result<const Node*> found = node_at(op, virt.value());
  if (!found.ok()) return nullptr;
  const Node& node = *found.value();
  if (node.outside() || !node.is_regular() || !node.has_upper_inode() || node.metacopy())
    return nullptr;
  const Result<bool> copied = is_copied_from(op, node, lower);
  return copied.ok() && copied.value() ? &node : nullptr;
}

// Where it fails the old mapping is still there. The caller's record locks on a file go when it
// closes any descriptor of it: one that it has is not opened again.
Result<void> map_copy(Op& op, const Mapped& mapped, const Node& node) {
  const int own = TRY(own_descriptor(op, node.real));
  UniqueFd opened;
  if (own < 0) {
    opened = TRY(sys_open_no_symlinks(node.top(), O_RDONLY | O_NONBLOCK));
    StatX st;
    TRY(sys_fstat(opened.get(), &st));
    if (!same_inode(st, node.real)) return Error(ESTALE);
  }
  return checked_void(raw_call(SYS_mmap, mapped.from, mapped.size, mapped.protection,
                               MAP_SHARED | MAP_FIXED, own < 0 ? opened.get() : own,
                               mapped.offset));
}

}  // namespace

void follow_mappings(Op& op) {
  if (!op.caller().owns_memory()) return;
  Candidates all(op);
  if (!see_mappings(op, all).ok()) return;
  for (uint32_t i = 0; i < all.count(); i++) {
    if (const Node* node = copy_of(op, all[i].lower)) ignore(map_copy(op, all[i], *node));
  }
}

}  // namespace ovl
