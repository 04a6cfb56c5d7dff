// See core_calls.h.
#include "tests/unit/linear/core_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace linear {

using ovl::UserBuf;
using ovl::UserPath;

// All paths lead into the overlay: none is for the kernel alone.
template <auto op_function, class... Args>
long CoreCalls::run(Args... args) {
  const ovl::Outcome outcome = ovl::run_op<op_function>(caller_, session_, args...);
  return outcome.is_native() ? -100000 : outcome.value();
}

long CoreCalls::open(const char* path, int flags, mode_t mode) {
  return run<ovl::op_openat>(AT_FDCWD, UserPath(path), flags, mode);
}
long CoreCalls::unlink(const char* path, int flags) {
  return run<ovl::op_unlinkat>(AT_FDCWD, UserPath(path), flags);
}
long CoreCalls::mkdir(const char* path, mode_t mode) {
  return run<ovl::op_mkdirat>(AT_FDCWD, UserPath(path), mode);
}
long CoreCalls::rename(const char* from, const char* to, unsigned flags) {
  return run<ovl::op_renameat2>(AT_FDCWD, UserPath(from), AT_FDCWD, UserPath(to), flags);
}
long CoreCalls::link(const char* from, const char* to) {
  return run<ovl::op_linkat>(AT_FDCWD, UserPath(from), AT_FDCWD, UserPath(to), 0);
}
long CoreCalls::stat(const char* path, struct stat* out) {
  return run<ovl::op_newfstatat>(AT_FDCWD, UserPath(path), UserBuf(out), AT_SYMLINK_NOFOLLOW);
}
long CoreCalls::chmod(const char* path, mode_t mode) {
  return run<ovl::op_fchmodat2>(AT_FDCWD, UserPath(path), mode, 0);
}
long CoreCalls::truncate(const char* path, off_t size) {
  return run<ovl::op_truncate>(UserPath(path), size);
}
// Where the kernel goes to the right directory by itself, it does.
long CoreCalls::fchdir(int fd) {
  const ovl::Outcome outcome = ovl::run_op<ovl::op_fchdir>(caller_, session_, fd);
  if (!outcome.is_native()) return outcome.value();
  return ::fchdir(fd) == 0 ? 0 : -errno;
}
long CoreCalls::getdents(int fd, void* buffer, unsigned size) {
  const ovl::Outcome outcome = ovl::run_op<ovl::op_getdents64>(
      caller_, session_, static_cast<unsigned>(fd), UserBuf(buffer), size);
  // A directory of one layer is the kernel's business.
  if (!outcome.is_native()) return outcome.value();
  const long n = syscall(SYS_getdents64, fd, buffer, size);
  return n < 0 ? -errno : n;
}

}  // namespace linear
