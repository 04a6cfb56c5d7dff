// fsync, fdatasync, syncfs, sync_file_range, sync. A descriptor on an object of the upper is the
// kernel's business, also in what it is told of errors; one on a lower's object stands for the
// upper's, if there is one by now, and the lower is never synced. Kernel counterpart: ovl_fsync(),
// ovl_dir_fsync(), ovl_sync_fs().
//
// Where the upper is volatile nothing is written, and an error that is known stays: each call fails
// with it. What is known are errors of copying up, and those that a file's own descriptor tells.
#include "core/ops/sync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/ops/follow.h"
#include "core/ops/ops.h"
#include "core/sys/no_symlinks.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

// SYNC_FILE_RANGE_*, which libc names only with _GNU_SOURCE of its own headers.
constexpr unsigned kWaitBefore = 1, kValidRangeFlags = 1 | 2 | 4;
constexpr off_t kBehindAnyFile = off_t{1} << 62;

// Was something lost, or could the call not be made?
bool is_loss(int error) {
  switch (error) {
    case EBADF:
    case EINVAL:
    case ESPIPE:
    case ENOSYS:
    case EPERM:
    case EINTR:
      return false;
    default:
      return true;
  }
}

void note(Op& op, const Overlay& overlay, int error) {
  if (is_loss(error)) op.session().errors(overlay).set(error);
}

// What a descriptor of the caller is open on. overlay: nullptr: nothing of ours, or the kernel is
// to say what is wrong.
struct Opened {
  const Overlay* overlay = nullptr;
  const Node* node = nullptr;  // nullptr: it has no name any more
  bool on_lower = false;
  BorrowedFd fd;
  struct stat st;
};

Opened opened(Op& op, int fd) {
  Opened result;
  Result<BorrowedFd> borrowed = op.caller().borrow(fd);
  if (!borrowed.ok()) return {};
  result.fd = std::move(borrowed).value();
  const long flags = raw_call(SYS_fcntl, result.fd.get(), F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0) return {};
  // What is open for writing is no lower's.
  if (op.session().segment().any_volatile == 0 && (flags & O_ACCMODE) != O_RDONLY) return {};
  if (raw_call(SYS_fstat, result.fd.get(), &result.st) < 0) return {};
  const Result<FdNode> found = node_of_fd(op, fd);
  if (!found.ok()) return {};
  const FdNode& is = found.value();
  result.overlay = is.overlay != nullptr ? is.overlay : op.session().workdir_with(is.real);
  result.node = is.node;
  result.on_lower = is.on_lower;
  return result;
}

bool can_be_synced(const struct stat& st) { return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode); }

// Writes nothing, and waits for nothing: there is no page behind the end. It tells the error of the
// file that this open file was not told yet.
Result<void> error_of_file(Op& op, const Opened& is) {
  if (is.on_lower || !S_ISREG(is.st.st_mode)) return {};
  const Result<void> r = checked_void(
      raw_call(SYS_sync_file_range, is.fd.get(), kBehindAnyFile, off_t{1}, kWaitBefore));
  if (r.ok() || !is_loss(r.error())) return {};
  op.session().errors(*is.overlay).set(r.error());
  return r;
}

Outcome sync_nothing(Op& op, const Opened& is) {
  TRY(volatile_status(op, *is.overlay));
  return error_of_file(op, is);
}

// The upper's object at this path, by a descriptor of its own.
Outcome sync_real(Op& op, const Overlay& overlay, CStr real, int flags, long number) {
  const Result<UniqueFd> fd = sys_open_no_symlinks(real, O_RDONLY | O_NONBLOCK | flags);
  if (!fd.ok() && fd.error() == EMFILE && op.session().segment().supervised != 0)
    return Error(EMFILE);
  // Another user's, below root's session, or none is free: the one call of this kind that needs no
  // descriptor.
  if (!fd.ok() && (fd.error() == EMFILE || fd.error() == ENFILE || fd.error() == EACCES))
    return raw_call(SYS_sync);
  // Somebody has removed it meanwhile.
  if (!fd.ok() && (fd.error() == ENOENT || fd.error() == ELOOP || fd.error() == ENOTDIR)) return 0;
  if (!fd.ok()) return Error(fd.error());
  const Result<void> synced = checked_void(raw_call(number, fd.value().get()));
  if (!synced.ok()) note(op, overlay, synced.error());
  return synced;
}

Outcome sync_file(Op& op, int fd, long number) {
  follow_if_stale(op);
  const Opened is = opened(op, fd);
  if (is.overlay == nullptr || !can_be_synced(is.st)) return Outcome::native();
  if (is.overlay->is_volatile) return sync_nothing(op, is);
  if (!is.on_lower) return Outcome::native();
  if (is.node == nullptr || !is.node->has_upper_inode()) return 0;
  // Its data are the lower's.
  if (is.node->metacopy() && number == SYS_fdatasync) return 0;
  return sync_real(op, *is.overlay, is.node->top(), is.node->is_dir() ? O_DIRECTORY : 0, number);
}

}  // namespace

Result<void> volatile_status(Op& op, const Overlay& overlay) {
  const int error = op.session().errors(overlay).check(overlay.errors_before);
  return error == 0 ? Result<void>() : Result<void>(Error(error));
}

void note_failed_sync(Op& op, int fd, int error) {
  if (!is_loss(error)) return;
  const Result<FdNode> found = node_of_fd(op, fd);
  if (found.ok() && found.value().overlay != nullptr && !found.value().on_lower)
    note(op, *found.value().overlay, error);
}

Outcome op_fsync(Op& op, int fd) { return sync_file(op, fd, SYS_fsync); }
Outcome op_fdatasync(Op& op, int fd) { return sync_file(op, fd, SYS_fdatasync); }

Outcome op_sync_file_range(Op& op, int fd, off_t from, off_t size, unsigned flags) {
  if (op.session().segment().any_volatile == 0) return Outcome::native();
  const Opened is = opened(op, fd);
  if (is.overlay == nullptr || !is.overlay->is_volatile || !can_be_synced(is.st))
    return Outcome::native();
  // Without flags it only looks at what it was given.
  const unsigned harmless = (flags & ~kValidRangeFlags) == 0 ? 0 : flags;
  TRY(checked_void(raw_call(SYS_sync_file_range, is.fd.get(), from, size, harmless)));
  return sync_nothing(op, is);
}

Outcome op_syncfs(Op& op, int fd) {
  const Opened is = opened(op, fd);
  if (is.overlay == nullptr || is.overlay->upper_layer == nullptr) return Outcome::native();
  if (is.overlay->is_volatile) return volatile_status(op, *is.overlay);
  // By an open file on the same file system the kernel knows what it was told of errors already.
  if (!is.on_lower || is.st.st_dev == is.overlay->upper_layer->dev) return Outcome::native();
  return sync_real(op, *is.overlay, is.overlay->upper, O_DIRECTORY, SYS_syncfs);
}

Outcome op_sync(Op& op) {
  if (op.session().segment().any_volatile == 0) return Outcome::native();
  return 0;
}

}  // namespace ovl
