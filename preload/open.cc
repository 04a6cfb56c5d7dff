// open(2) and its spellings. POSIX makes them cancellation points.
#include "preload/open.h"

#include <fcntl.h>
#include <stdarg.h>

#include "preload/call.h"
#include "preload/interposers.h"

extern "C" [[noreturn]] void __chk_fail();

namespace ovl {
namespace {

bool has_mode(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }

// open's last argument, where the flags ask for one.
mode_t mode_of(int flags, va_list args) { return has_mode(flags) ? va_arg(args, mode_t) : 0; }

int open_at(int dirfd, const char* path, int flags, mode_t mode) {
  return static_cast<int>(libc_style(open_kernel_style(dirfd, path, flags, mode)));
}

}  // namespace

long open_kernel_style(int dirfd, const char* path, int flags, mode_t mode) {
  if (Session* session = attached()) {
    { CancellationPoint asked_before; }  // acts on a request that is pending
    PreloadCaller caller;
    Outcome outcome = run_op<op_openat>(caller, *session, dirfd, UserPath(path), flags, mode);
    if (is_for_supervisor(*session, outcome)) {
      CancellationPoint point;
      return trapped_call(SYS_openat, dirfd, to_register(UserPath(path)), flags, mode);
    }
    if (!outcome.is_native()) return outcome.value();
  }
  CancellationPoint point;
  return raw_call(SYS_openat, dirfd, path, flags, mode);
}

int ip_openat(int dirfd, const char* path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  const mode_t mode = mode_of(flags, args);
  va_end(args);
  return open_at(dirfd, path, flags, mode);
}

int ip_open(const char* path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  const mode_t mode = mode_of(flags, args);
  va_end(args);
  return open_at(AT_FDCWD, path, flags, mode);
}

int ip_creat(const char* path, mode_t mode) {
  return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

// _FORTIFY_SOURCE: a mode is needed and none was given.
int ip___open_2(const char* path, int flags) {
  if (has_mode(flags)) __chk_fail();
  return open_at(AT_FDCWD, path, flags, 0);
}
int ip___openat_2(int dirfd, const char* path, int flags) {
  if (has_mode(flags)) __chk_fail();
  return open_at(dirfd, path, flags, 0);
}

}  // namespace ovl
