// Attributes: what libc does around the system call.
#include <stdarg.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "preload/call.h"
#include "preload/interposers.h"

extern "C" [[noreturn]] void __chk_fail();

namespace ovl {
namespace {

UserBuf buf(const void* memory) { return UserBuf(reinterpret_cast<uintptr_t>(memory)); }

int fail(int error) {
  errno = error;
  return -1;
}

// _STAT_VER_KERNEL and _STAT_VER_LINUX: one struct on 64-bit machines.
bool good_version(int version) { return version == 0 || version == 1; }

void to_statvfs(const struct statfs& from, struct statvfs* to) {
  constexpr unsigned long kFlagsValid = 0x20;  // ST_VALID: the kernel has filled f_flags
  *to = {};
  to->f_bsize = static_cast<unsigned long>(from.f_bsize);
  to->f_frsize = static_cast<unsigned long>(from.f_frsize != 0 ? from.f_frsize : from.f_bsize);
  to->f_blocks = from.f_blocks;
  to->f_bfree = from.f_bfree;
  to->f_bavail = from.f_bavail;
  to->f_files = from.f_files;
  to->f_ffree = from.f_ffree;
  to->f_favail = from.f_ffree;
  memcpy(&to->f_fsid, &from.f_fsid, sizeof to->f_fsid);
  to->f_namemax = static_cast<unsigned long>(from.f_namelen);
  to->f_flag = static_cast<unsigned long>(from.f_flags) & ~kFlagsValid;
}

bool to_timespecs(const struct timeval from[2], struct timespec to[2]) {
  for (int i = 0; i < 2; i++) {
    if (from[i].tv_usec < 0 || from[i].tv_usec >= 1000000) return false;
    to[i] = {from[i].tv_sec, from[i].tv_usec * 1000};
  }
  return true;
}

int make_node(int dirfd, const char* path, mode_t mode, dev_t device) {
  const unsigned kernel_device = static_cast<unsigned>(device);
  if (kernel_device != device) return fail(EINVAL);
  return static_cast<int>(
      libc_style(OVL_CALL(mknodat, dirfd, UserPath(path), mode, kernel_device)));
}

}  // namespace

int ip___xstat(int version, const char* path, struct stat* st) {
  return good_version(version) ? ip_stat(path, st) : fail(EINVAL);
}
int ip___lxstat(int version, const char* path, struct stat* st) {
  return good_version(version) ? ip_lstat(path, st) : fail(EINVAL);
}
int ip___fxstat(int version, int fd, struct stat* st) {
  return good_version(version) ? ip_fstat(fd, st) : fail(EINVAL);
}
int ip___fxstatat(int version, int dirfd, const char* path, struct stat* st, int flags) {
  return good_version(version) ? ip_fstatat(dirfd, path, st, flags) : fail(EINVAL);
}

ssize_t ip___readlink_chk(const char* path, char* buffer, size_t size, size_t room) {
  if (size > room) __chk_fail();
  return ip_readlink(path, buffer, size);
}
ssize_t ip___readlinkat_chk(int dirfd, const char* path, char* buffer, size_t size, size_t room) {
  if (size > room) __chk_fail();
  return ip_readlinkat(dirfd, path, buffer, size);
}

int ip_statvfs(const char* path, struct statvfs* st) {
  struct statfs kernel;
  if (ip_statfs(path, &kernel) != 0) return -1;
  to_statvfs(kernel, st);
  return 0;
}
int ip_fstatvfs(int fd, struct statvfs* st) {
  struct statfs kernel;
  if (ip_fstatfs(fd, &kernel) != 0) return -1;
  to_statvfs(kernel, st);
  return 0;
}

int ip_mknod(const char* path, mode_t mode, dev_t device) {
  return make_node(AT_FDCWD, path, mode, device);
}
int ip_mknodat(int dirfd, const char* path, mode_t mode, dev_t device) {
  return make_node(dirfd, path, mode, device);
}
int ip___xmknod(int version, const char* path, mode_t mode, dev_t* device) {
  return version == 0 ? make_node(AT_FDCWD, path, mode, *device) : fail(EINVAL);
}
int ip___xmknodat(int version, int dirfd, const char* path, mode_t mode, dev_t* device) {
  return version == 0 ? make_node(dirfd, path, mode, *device) : fail(EINVAL);
}

int ip_lutimes(const char* path, const struct timeval* times) {
  struct timespec precise[2];
  if (times != nullptr && !to_timespecs(times, precise)) return fail(EINVAL);
  return ip_utimensat(AT_FDCWD, path, times != nullptr ? precise : nullptr, AT_SYMLINK_NOFOLLOW);
}
int ip_futimes(int fd, const struct timeval* times) {
  struct timespec precise[2];
  if (times != nullptr && !to_timespecs(times, precise)) return fail(EINVAL);
  return ip_futimens(fd, times != nullptr ? precise : nullptr);
}
int ip_futimens(int fd, const struct timespec* times) {
  if (fd < 0) return fail(EBADF);
  return static_cast<int>(libc_style(OVL_CALL(utimensat, fd, UserPath(), buf(times), 0)));
}
int ip_utimensat(int dirfd, const char* path, const struct timespec* times, int flags) {
  if (path == nullptr)
    return fail(EINVAL);  // libc keeps what the kernel takes for futimens to itself
  return static_cast<int>(
      libc_style(OVL_CALL(utimensat, dirfd, UserPath(path), buf(times), flags)));
}

int ip_remove(const char* path) {
  const long r = OVL_CALL(unlinkat, AT_FDCWD, UserPath(path), 0);
  if (r != -EISDIR) return static_cast<int>(libc_style(r));
  return ip_rmdir(path);
}

int ip_ioctl(int fd, unsigned long request, ...) {
  va_list args;
  va_start(args, request);
  void* argument = va_arg(args, void*);
  va_end(args);
  return static_cast<int>(libc_style(OVL_CALL(ioctl, fd, request, buf(argument))));
}

}  // namespace ovl
