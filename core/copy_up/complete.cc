// See complete.h.
#include "core/copy_up/complete.h"

#include <linux/falloc.h>

#include "core/copy_up/data.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/session/lock.h"
#include "core/session/readers.h"
#include "core/walk/lookup.h"

namespace ovl {
namespace {

constexpr const char kCapability[] = "security.capability";
constexpr size_t kCapabilityMax = 64;

// What a write takes from a file: setuid bits, capabilities, times.
class Spared {
 public:
  Result<void> read(int fd) {
    TRY(sys_fstat(fd, &st_));
    Result<size_t> n = sys_fgetxattr(fd, kCapability, capability_, sizeof capability_);
    if (n.ok()) size_ = n.value();
    return {};
  }
  Result<void> put_back(int fd) const {
    StatX now;
    TRY(sys_fstat(fd, &now));
    // Another mode than a write leaves is somebody's chmod(2) of meanwhile, and stays.
    if (now.stx_mode != st_.stx_mode && (now.stx_mode | kTaken) == (st_.stx_mode | kTaken))
      TRY(sys_fchmod(fd, st_.stx_mode & 07777));
    if (size_ != 0) TRY(ignore_if(sys_fsetxattr(fd, kCapability, capability_, size_), EPERM));
    return Times(st_).set(fd);
  }

 private:
  static constexpr mode_t kTaken = S_ISUID | S_ISGID;
  StatX st_;
  char capability_[kCapabilityMax];
  size_t size_ = 0;
};

Result<void> fill(Op& op, const Node& node, int upper) {
  TRY(may_write(op, node.real.stx_size));
  UniqueFd lower = TRY(open_lower(node.data()));
  StatX st;
  TRY(sys_fstat(lower.get(), &st));
  if (!S_ISREG(st.stx_mode)) return Error(EIO);
  return copy_data(op, *node.overlay, lower.get(), upper, st.stx_size);
}

bool is_still_there(const Node& node) {
  StatX now;
  return sys_lstat(node.upper, &now).ok() && same_inode(now, node.real);
}

// The blocks of data that could not come whole: on a full file system they would stay lost. The
// size is the metacopy's.
Result<void> give_back(int upper, const StatX& st) {
  constexpr int kHole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return checked_void(raw_call(SYS_fallocate, upper, kHole, 0, st.stx_size));
}

// Until the end the marker tells where the inode number comes from; then the origin does.
Result<void> add_origin(const Node& node, int upper) {
  StatX st;
  TRY(sys_lstat(node.lowers[0].path, &st));
  if (st.stx_nlink > 1) return {};
  char origin[kFileHandleMax];
  const size_t size = origin_of(node.lowers[0], -1, origin);
  // Under another name than the lower's an empty one would be taken for that of another file.
  if (size == 0 && node.priv.has(Priv::kRedirect)) return {};
  return sys_fsetxattr(upper, priv_name(node.overlay->format, Priv::kOrigin), origin, size);
}

}  // namespace

Result<void> complete(Op& op, const Node& node, Data data) {
  const char* marker = priv_name(node.overlay->format, Priv::kMetacopy);
  Result<UniqueFd> opened = sys_openat(node.upper, O_RDWR | O_NOFOLLOW);
  if (!opened.ok() && !is_still_there(node)) return {};
  UniqueFd upper = TRY(std::move(opened));
  TRY(ignore_if(mark_impure(op, *node.up), ENOENT));
  StatX st;
  TRY(sys_fstat(upper.get(), &st));
  if (!same_inode(st, node.real)) return {};  // its data may lie elsewhere
  Completion lock(op.session(), st.stx_ino);
  Result<size_t> marked = sys_fgetxattr(upper.get(), marker, nullptr, 0);
  if (!marked.ok() && marked.error() != ENODATA) return Error(marked.error());
  if (marked.ok()) {
    Spared spared;
    TRY(spared.read(upper.get()));
    if (data == Data::kAll) {
      const Result<void> filled = fill(op, node, upper.get());
      if (!filled.ok()) {
        ignore(give_back(upper.get(), st));
        ignore(spared.put_back(upper.get()));
        return filled;
      }
    } else {
      TRY(sys_ftruncate(upper.get(), 0));
    }
    TRY(add_origin(node, upper.get()));
    TRY(spared.put_back(upper.get()));
    StatX lower;  // for O_TRUNC it may be lost
    const bool known = sys_lstat(node.data(), &lower).ok();
    const DataChange change(op.session(), known ? &lower : nullptr);
    TRY(ignore_if(sys_fremovexattr(upper.get(), marker), ENODATA));
  }
  return {};
}

}  // namespace ovl
