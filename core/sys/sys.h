// Raw system calls, typed: sys_x() is x(2) with the result or a positive errno, through the gate.
// Path arguments are At: a real absolute path of any length, or (directory descriptor, name).
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/result.h"
#include "core/base/str.h"
#include "core/base/unique_fd.h"
#include "core/sys/gate.h"
#include "core/sys/kernel_abi.h"

struct statfs;
struct timespec;

namespace ovl {

using StatX = struct statx;

inline bool same_inode(const StatX& a, const StatX& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
         a.stx_dev_minor == b.stx_dev_minor;
}

// Where a path system call acts. An absolute path that fits PATH_MAX goes as it is; a longer one is
// opened in O_PATH steps first (path_resolution(7) has no limit but PATH_MAX per call). An error of
// that surfaces in the sys_ call that is made with it.
class At {
 public:
  At(CStr path);  // NOLINT(google-explicit-constructor): every sys_ call takes a path like this
  At(int dirfd, CStr name) : dirfd_(dirfd), name_(name.c_str()) {}
  At(const At&) = delete;
  At& operator=(const At&) = delete;

  int dirfd() const { return dirfd_; }
  const char* name() const { return name_; }
  int error() const { return error_; }  // positive errno, 0 = usable

 private:
  int dirfd_ = AT_FDCWD;
  const char* name_;
  int error_ = 0;
  UniqueFd owned_;
};

// Turns a raw result into Result.
inline Result<long> checked(long raw) {
  if (raw < 0) return Error(static_cast<int>(-raw));
  return raw;
}
inline Result<void> checked_void(long raw) {
  if (raw < 0) return Error(static_cast<int>(-raw));
  return {};
}

// Opening. O_CLOEXEC is always added: these descriptors are the core's, for the moment of one
// operation.
Result<UniqueFd> sys_openat(const At& at, int flags, mode_t mode = 0);
Result<UniqueFd> sys_openat2(const At& at, const open_how& how);

// Attributes. sys_statx never follows a final symlink unless told (flags: AT_SYMLINK_FOLLOW is not
// a statx flag; pass 0 to follow, AT_SYMLINK_NOFOLLOW not to). Mask is STATX_BASIC_STATS |
// STATX_BTIME.
Result<void> sys_statx(const At& at, int flags, StatX* out);
Result<void> sys_lstat(const At& at, StatX* out);  // AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT
Result<void> sys_fstat(int fd, StatX* out);
Result<size_t> sys_readlink(const At& at, char* out, size_t size);  // not NUL-terminated
Result<void> sys_faccessat2(const At& at, int mode, int flags);
Result<void> sys_statfs(const At& at, struct statfs* out);

// Names.
Result<void> sys_mkdir(const At& at, mode_t mode);
Result<void> sys_mknod(const At& at, mode_t mode, dev_t dev);
Result<void> sys_symlink(const char* target, const At& at);
Result<void> sys_link(const At& from, const At& to, int flags = 0);  // flags as linkat(2)
Result<void> sys_unlink(const At& at);
Result<void> sys_rmdir(const At& at);
Result<void> sys_rename(const At& from, const At& to, unsigned flags = 0);  // flags as renameat2(2)

// Attribute changes, never following a final symlink.
Result<void> sys_chmod(const At& at,
                       mode_t mode);  // not for symlinks (the kernel has no such change)
Result<void> sys_chown(const At& at, uid_t uid, gid_t gid);
Result<void> sys_utimens(const At& at, const struct timespec times[2]);
Result<void> sys_truncate(const At& at, off_t length);

// Extended attributes, never following a final symlink. Reading: ENODATA and EOPNOTSUPP are errors
// here; format/ turns them into "absent".
Result<size_t> sys_lgetxattr(const At& at, const char* name, void* out, size_t size);
Result<void> sys_lsetxattr(const At& at, const char* name, const void* value, size_t size,
                           int flags = 0);
Result<void> sys_lremovexattr(const At& at, const char* name);
Result<size_t> sys_llistxattr(const At& at, char* out, size_t size);
Result<size_t> sys_fgetxattr(int fd, const char* name, void* out, size_t size);
Result<void> sys_fsetxattr(int fd, const char* name, const void* value, size_t size, int flags = 0);
Result<size_t> sys_flistxattr(int fd, char* out, size_t size);
Result<void> sys_fremovexattr(int fd, const char* name);

// Descriptors.
Result<size_t> sys_read(int fd, void* out, size_t size);
Result<size_t> sys_pread(int fd, void* out, size_t size, off_t at);
Result<size_t> sys_write(int fd, const void* data, size_t size);
Result<size_t> sys_pwrite(int fd, const void* data, size_t size, off_t at);
Result<off_t> sys_lseek(int fd, off_t offset, int whence);
Result<size_t> sys_getdents64(int fd, void* out, size_t size);
Result<void> sys_fchmod(int fd, mode_t mode);
Result<void> sys_fchown(int fd, uid_t uid, gid_t gid);
Result<void> sys_futimens(int fd, const struct timespec times[2]);
Result<void> sys_ftruncate(int fd, off_t length);
Result<void> sys_fsync(int fd);
Result<void> sys_fdatasync(int fd);
Result<size_t> sys_copy_file_range(int in, off_t* in_at, int out, off_t* out_at, size_t size);
Result<void> sys_ficlone(int to, int from);

// The caller's own task.
pid_t sys_getpid();
pid_t sys_gettid();
Result<size_t> sys_getcwd(char* out, size_t size);  // length without the NUL

// write(2) until everything is written.
Result<void> write_all(int fd, const void* data, size_t size);

}  // namespace ovl
