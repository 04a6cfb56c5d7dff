// See sys.h. One line per call; what is more than a line says why.
#include "core/sys/sys.h"

#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

namespace ovl {

[[gnu::hot]] void close_raw(int fd) { raw_call(SYS_close, fd); }

namespace {

// Opens the directory that holds the last name of an over-long path, in steps that fit PATH_MAX.
// *rest becomes that name, short enough for calls that have no descriptor and go through /proc.
// Kernel counterpart: none; it is what a program does by hand.
Result<UniqueFd> open_in_steps(CStr path, const char** rest) {
  char step[NAME_MAX * 4 + 2];  // several names at once, but no PATH_MAX array on a foreign stack
  UniqueFd dir(-1);
  const char* at = path.c_str();
  size_t left = path.size();
  while (left > NAME_MAX) {
    size_t n = left < sizeof step - 1 ? left : sizeof step - 1;
    while (n > 0 && at[n] != '/') n--;
    if (n == 0) {
      if (*at != '/') return Error(ENAMETOOLONG);
      n = 1;
    }
    memcpy(step, at, n);
    step[n] = 0;
    long fd = raw_call(SYS_openat, dir.valid() ? dir.get() : AT_FDCWD, step,
                       O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0) return Error(static_cast<int>(-fd));
    dir.reset(static_cast<int>(fd));
    while (n < left && at[n] == '/') n++;
    at += n;
    left -= n;
  }
  *rest = at;
  return dir;
}

}  // namespace

At::At(CStr path) : name_(path.c_str()) {
  if (path.data() == nullptr) {
    error_ = ENOMEM;
    return;
  }
  if (path.size() < PATH_MAX) return;
  Result<UniqueFd> dir = open_in_steps(path, &name_);
  if (!dir.ok()) {
    error_ = dir.error();
    return;
  }
  owned_ = std::move(dir).value();
  dirfd_ = owned_.get();
}

namespace {

template <class... Args>
Result<void> at_call(long number, const At& at, Args... args) {
  if (at.error()) return Error(at.error());
  return checked_void(raw_call(number, at.dirfd(), at.name(), args...));
}

Result<UniqueFd> fd_or_error(long raw) {
  if (raw < 0) return Error(static_cast<int>(-raw));
  return UniqueFd(static_cast<int>(raw));
}

Result<size_t> size_or_error(long raw) {
  if (raw < 0) return Error(static_cast<int>(-raw));
  return static_cast<size_t>(raw);
}

// The l*xattr calls take no directory descriptor before 6.13; a name behind one goes through /proc.
struct XattrPath {
  char text[64 + NAME_MAX + 1];
  const char* path;
  int error = 0;

  explicit XattrPath(const At& at) : path(at.name()), error(at.error()) {
    if (error || at.dirfd() == AT_FDCWD || at.name()[0] == '/') return;
    size_t n = strlen(at.name());
    if (n > sizeof text - 64) {
      error = ENAMETOOLONG;
      return;
    }
    memcpy(text, "/proc/thread-self/fd/", 21);
    char digits[12];
    int count = 0;
    for (int fd = at.dirfd(); count == 0 || fd > 0; fd /= 10) digits[count++] = char('0' + fd % 10);
    char* w = text + 21;
    while (count > 0) *w++ = digits[--count];
    *w++ = '/';
    memcpy(w, at.name(), n + 1);
    path = text;
  }
};

template <class... Args>
long xattr_call(long number, const At& at, Args... args) {
  XattrPath path(at);
  return path.error ? -path.error : raw_call(number, path.path, args...);
}

}  // namespace

Result<UniqueFd> sys_openat(const At& at, int flags, mode_t mode) {
  if (at.error()) return Error(at.error());
  return fd_or_error(raw_call(SYS_openat, at.dirfd(), at.name(), flags | O_CLOEXEC, mode));
}

Result<UniqueFd> sys_openat2(const At& at, const open_how& how) {
  if (at.error()) return Error(at.error());
  open_how with_cloexec = how;
  with_cloexec.flags |= O_CLOEXEC;
  return fd_or_error(
      raw_call(SYS_openat2, at.dirfd(), at.name(), &with_cloexec, sizeof with_cloexec));
}

namespace {

// What stat(2) knows of what statx(2) tells.
void widen(const struct stat& from, StatX* to) {
  memset(to, 0, sizeof *to);
  to->stx_mask = STATX_BASIC_STATS;
  to->stx_blksize = static_cast<uint32_t>(from.st_blksize);
  to->stx_nlink = static_cast<uint32_t>(from.st_nlink);
  to->stx_uid = from.st_uid;
  to->stx_gid = from.st_gid;
  to->stx_mode = static_cast<uint16_t>(from.st_mode);
  to->stx_ino = from.st_ino;
  to->stx_size = static_cast<uint64_t>(from.st_size);
  to->stx_blocks = static_cast<uint64_t>(from.st_blocks);
  to->stx_atime = {from.st_atim.tv_sec, static_cast<uint32_t>(from.st_atim.tv_nsec), 0};
  to->stx_mtime = {from.st_mtim.tv_sec, static_cast<uint32_t>(from.st_mtim.tv_nsec), 0};
  to->stx_ctime = {from.st_ctim.tv_sec, static_cast<uint32_t>(from.st_ctim.tv_nsec), 0};
  to->stx_rdev_major = major(from.st_rdev);
  to->stx_rdev_minor = minor(from.st_rdev);
  to->stx_dev_major = major(from.st_dev);
  to->stx_dev_minor = minor(from.st_dev);
}

}  // namespace

Result<void> sys_statx(const At& at, int flags, StatX* out) {
  Result<void> r = at_call(SYS_statx, at, flags, STATX_BASIC_STATS | STATX_BTIME, out);
  if (r.ok() || r.error() != ENOSYS) return r;
  struct stat st;  // before Linux 4.11, or below a program's own filter that does not know the call
                   // (man-db's)
  TRY(at_call(SYS_newfstatat, at, &st, flags));
  widen(st, out);
  return {};
}
Result<void> sys_lstat(const At& at, StatX* out) {
  return sys_statx(at, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, out);
}
Result<void> sys_fstat(int fd, StatX* out) { return sys_statx(At(fd, ""), AT_EMPTY_PATH, out); }
Result<size_t> sys_readlink(const At& at, char* out, size_t size) {
  if (at.error()) return Error(at.error());
  return size_or_error(raw_call(SYS_readlinkat, at.dirfd(), at.name(), out, size));
}
Result<void> sys_faccessat2(const At& at, int mode, int flags) {
  Result<void> r = at_call(SYS_faccessat2, at, mode, flags);
  if (r.ok() || r.error() != ENOSYS) return r;
  // Before Linux 5.8, or below a program's own filter that does not know the call: what
  // faccessat(2) can tell.
  if ((flags & AT_EACCESS) != 0 && (raw_call(SYS_getuid) != raw_call(SYS_geteuid) ||
                                    raw_call(SYS_getgid) != raw_call(SYS_getegid)))
    return r;
  StatX st;
  if ((flags & AT_SYMLINK_NOFOLLOW) != 0) {
    TRY(sys_lstat(at, &st));
    if (S_ISLNK(st.stx_mode)) return {};
  }
  return at_call(SYS_faccessat, at, mode);
}
Result<void> sys_statfs(const At& at, struct statfs* out) {
  if (at.error()) return Error(at.error());
  if (at.dirfd() == AT_FDCWD) return checked_void(raw_call(SYS_statfs, at.name(), out));
  UniqueFd fd = TRY(sys_openat(at, O_PATH | O_NOFOLLOW));
  return checked_void(raw_call(SYS_fstatfs, fd.get(), out));
}

Result<void> sys_mkdir(const At& at, mode_t mode) { return at_call(SYS_mkdirat, at, mode); }
Result<void> sys_mknod(const At& at, mode_t mode, dev_t dev) {
  return at_call(SYS_mknodat, at, mode, dev);
}
Result<void> sys_symlink(const char* target, const At& at) {
  if (at.error()) return Error(at.error());
  return checked_void(raw_call(SYS_symlinkat, target, at.dirfd(), at.name()));
}
Result<void> sys_link(const At& from, const At& to, int flags) {
  if (to.error()) return Error(to.error());
  return at_call(SYS_linkat, from, to.dirfd(), to.name(), flags);
}
Result<void> sys_unlink(const At& at) { return at_call(SYS_unlinkat, at, 0); }
Result<void> sys_rmdir(const At& at) { return at_call(SYS_unlinkat, at, AT_REMOVEDIR); }
Result<void> sys_rename(const At& from, const At& to, unsigned flags) {
  if (to.error()) return Error(to.error());
  return at_call(SYS_renameat2, from, to.dirfd(), to.name(), flags);
}

Result<void> sys_chmod(const At& at, mode_t mode) { return at_call(SYS_fchmodat, at, mode); }
Result<void> sys_chown(const At& at, uid_t uid, gid_t gid) {
  return at_call(SYS_fchownat, at, uid, gid, AT_SYMLINK_NOFOLLOW);
}
Result<void> sys_utimens(const At& at, const struct timespec times[2]) {
  return at_call(SYS_utimensat, at, times, AT_SYMLINK_NOFOLLOW);
}
Result<void> sys_truncate(const At& at, off_t length) {
  if (at.error()) return Error(at.error());
  if (at.dirfd() == AT_FDCWD) return checked_void(raw_call(SYS_truncate, at.name(), length));
  UniqueFd fd = TRY(sys_openat(at, O_WRONLY | O_NOFOLLOW));
  return sys_ftruncate(fd.get(), length);
}

Result<size_t> sys_lgetxattr(const At& at, const char* name, void* out, size_t size) {
  return size_or_error(xattr_call(SYS_lgetxattr, at, name, out, size));
}
Result<void> sys_lsetxattr(const At& at, const char* name, const void* value, size_t size,
                           int flags) {
  return checked_void(xattr_call(SYS_lsetxattr, at, name, value, size, flags));
}
Result<void> sys_lremovexattr(const At& at, const char* name) {
  return checked_void(xattr_call(SYS_lremovexattr, at, name));
}
Result<size_t> sys_llistxattr(const At& at, char* out, size_t size) {
  return size_or_error(xattr_call(SYS_llistxattr, at, out, size));
}
Result<size_t> sys_fgetxattr(int fd, const char* name, void* out, size_t size) {
  return size_or_error(raw_call(SYS_fgetxattr, fd, name, out, size));
}
Result<void> sys_fsetxattr(int fd, const char* name, const void* value, size_t size, int flags) {
  return checked_void(raw_call(SYS_fsetxattr, fd, name, value, size, flags));
}
Result<size_t> sys_flistxattr(int fd, char* out, size_t size) {
  return size_or_error(raw_call(SYS_flistxattr, fd, out, size));
}
Result<void> sys_fremovexattr(int fd, const char* name) {
  return checked_void(raw_call(SYS_fremovexattr, fd, name));
}

Result<size_t> sys_read(int fd, void* out, size_t size) {
  return size_or_error(raw_call(SYS_read, fd, out, size));
}
Result<size_t> sys_pread(int fd, void* out, size_t size, off_t at) {
  return size_or_error(raw_call(SYS_pread64, fd, out, size, at));
}
Result<size_t> sys_write(int fd, const void* data, size_t size) {
  return size_or_error(raw_call(SYS_write, fd, data, size));
}
Result<size_t> sys_pwrite(int fd, const void* data, size_t size, off_t at) {
  return size_or_error(raw_call(SYS_pwrite64, fd, data, size, at));
}
Result<off_t> sys_lseek(int fd, off_t offset, int whence) {
  return checked(raw_call(SYS_lseek, fd, offset, whence));
}
Result<size_t> sys_getdents64(int fd, void* out, size_t size) {
  return size_or_error(raw_call(SYS_getdents64, fd, out, size));
}
Result<void> sys_fchmod(int fd, mode_t mode) {
  return checked_void(raw_call(SYS_fchmod, fd, mode));
}
Result<void> sys_fchown(int fd, uid_t uid, gid_t gid) {
  return checked_void(raw_call(SYS_fchown, fd, uid, gid));
}
Result<void> sys_futimens(int fd, const struct timespec times[2]) {
  return checked_void(raw_call(SYS_utimensat, fd, nullptr, times, 0));
}
Result<void> sys_ftruncate(int fd, off_t length) {
  return checked_void(raw_call(SYS_ftruncate, fd, length));
}
Result<void> sys_fsync(int fd) { return checked_void(raw_call(SYS_fsync, fd)); }
Result<void> sys_fdatasync(int fd) { return checked_void(raw_call(SYS_fdatasync, fd)); }
Result<size_t> sys_copy_file_range(int in, off_t* in_at, int out, off_t* out_at, size_t size) {
  return size_or_error(raw_call(SYS_copy_file_range, in, in_at, out, out_at, size, 0));
}
Result<void> sys_ficlone(int to, int from) {
  return checked_void(raw_call(SYS_ioctl, to, FICLONE, from));
}

pid_t sys_getpid() { return static_cast<pid_t>(raw_call(SYS_getpid)); }
pid_t sys_gettid() { return static_cast<pid_t>(raw_call(SYS_gettid)); }
Result<size_t> sys_getcwd(char* out, size_t size) {
  size_t n = TRY(size_or_error(raw_call(SYS_getcwd, out, size)));
  return n - 1;
}

Result<void> write_all(int fd, const void* data, size_t size) {
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    Result<size_t> n = sys_write(fd, p, size);
    if (!n.ok() && n.error() == EINTR) continue;
    if (!n.ok()) return Error(n.error());
    p += n.value();
    size -= n.value();
  }
  return {};
}

}  // namespace ovl
