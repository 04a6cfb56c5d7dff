// See call.h.
#include "preload/call.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ops/follow.h"
#include "core/sys/sys.h"
#include "preload/fd_path.h"

// Optimised builds never store the vtable of an abstract class; others refer to this.
extern "C" __attribute__((visibility("hidden"))) void __cxa_pure_virtual() { __builtin_trap(); }

namespace ovl {

CancellationPoint::CancellationPoint() {
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old_type_);
}
CancellationPoint::~CancellationPoint() { pthread_setcanceltype(old_type_, nullptr); }

Outcome PreloadCaller::open_for_caller(CStr real, int flags, mode_t mode, Opens, bool) {
  At at(real);
  if (at.error()) return Error(at.error());
  // A path of more than PATH_MAX is held by a descriptor of ours, which a cancelled thread would
  // leave behind.
  if (at.dirfd() != AT_FDCWD) return raw_call(SYS_openat, at.dirfd(), at.name(), flags, mode);
  CancellationPoint point;
  return raw_call(SYS_openat, AT_FDCWD, at.name(), flags, mode);
}

Result<void> PreloadCaller::ask_to_follow() {
  const long r = trapped_call(SYS_faccessat2, AT_FDCWD, to_register(UserPath("/")), F_OK,
                              static_cast<long>(kFollowRequest), static_cast<long>(followed()));
  if (r == 0) return {};
  return Error(r == -EAGAIN ? EAGAIN : ENOSYS);
}

void follow_slowly(Session& session) {
  if (!local_follows()) return;
  PreloadCaller caller;
  Op op(caller, session);
  follow_copies(op);
}

long native_fchmodat2(int dirfd, const char* path, mode_t mode, int flags) {
  if (flags == 0) return raw_call(SYS_fchmodat, dirfd, path, mode);
  const long r = raw_call(SYS_fchmodat2, dirfd, path, mode, flags);
  if (r != -ENOSYS) return r;
  if (flags != AT_SYMLINK_NOFOLLOW) return -EINVAL;
  // Before Linux 6.6, as libc does it: through /proc, on anything but a symlink.
  Result<UniqueFd> fd = sys_openat(At(dirfd, CStr(path, strlen(path))), O_PATH | O_NOFOLLOW);
  if (!fd.ok()) return -fd.error();
  StatX st;
  Result<void> known = sys_fstat(fd.value().get(), &st);
  if (!known.ok()) return -known.error();
  if (S_ISLNK(st.stx_mode)) return -EOPNOTSUPP;
  return raw_call(SYS_fchmodat, AT_FDCWD, FdPath(fd.value().get()).text, mode);
}

long native_faccessat2(int dirfd, const char* path, int mode, int flags) {
  if (flags == 0) return raw_call(SYS_faccessat, dirfd, path, mode);
  const long r = raw_call(SYS_faccessat2, dirfd, path, mode, flags);
  if (r != -ENOSYS) return r;
  // Before Linux 5.8: the same where the real and the effective user are one.
  if (flags == AT_EACCESS && raw_call(SYS_getuid) == raw_call(SYS_geteuid) &&
      raw_call(SYS_getgid) == raw_call(SYS_getegid))
    return raw_call(SYS_faccessat, dirfd, path, mode);
  return -EINVAL;
}

}  // namespace ovl
