// See raw_calls.h.
#include "tests/stress/raw_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace linear {
namespace {

long word(const void* p) { return reinterpret_cast<long>(p); }

}  // namespace

long RawCalls::open(const char* path, int flags, mode_t mode) {
  return call(SYS_openat, AT_FDCWD, word(path), flags, mode, 0);
}
long RawCalls::unlink(const char* path, int flags) {
  return call(SYS_unlinkat, AT_FDCWD, word(path), flags, 0, 0);
}
long RawCalls::mkdir(const char* path, mode_t mode) {
  return call(SYS_mkdirat, AT_FDCWD, word(path), mode, 0, 0);
}
long RawCalls::rename(const char* from, const char* to, unsigned flags) {
  return call(SYS_renameat2, AT_FDCWD, word(from), AT_FDCWD, word(to), flags);
}
long RawCalls::link(const char* from, const char* to) {
  return call(SYS_linkat, AT_FDCWD, word(from), AT_FDCWD, word(to), 0);
}
long RawCalls::stat(const char* path, struct stat* out) {
  return call(SYS_newfstatat, AT_FDCWD, word(path), word(out), AT_SYMLINK_NOFOLLOW, 0);
}
long RawCalls::chmod(const char* path, mode_t mode) {
  return call(SYS_fchmodat, AT_FDCWD, word(path), mode, 0, 0);
}
long RawCalls::truncate(const char* path, off_t size) {
  return call(SYS_truncate, word(path), size, 0, 0, 0);
}
long RawCalls::fchdir(int fd) { return call(SYS_fchdir, fd, 0, 0, 0, 0); }
long RawCalls::getdents(int fd, void* buffer, unsigned size) {
  return call(SYS_getdents64, fd, word(buffer), size, 0, 0);
}

long SyscallCalls::call(long number, long a, long b, long c, long d, long e) {
  const long r = syscall(number, a, b, c, d, e);
  return r == -1 ? -errno : r;
}

long InlineCalls::call(long number, long a, long b, long c, long d, long e) {
  long r = number;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall"
               : "+a"(r)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return r;
}

}  // namespace linear
