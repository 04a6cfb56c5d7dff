// The calls under test. The same tests are compiled twice: as libc calls, which the preload
// interposes under each libc name, and with USE_SYSCALL as syscall(2) with the call's own number,
// old spellings included. t_NAME has the parameters of NAME(2) and its results: -1 and errno.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

// Newer than some libc's headers.
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#ifdef USE_SYSCALL
#define CALL(type, name, parameters, libc_call, ...) \
  inline type t_##name parameters { return static_cast<type>(syscall(__VA_ARGS__)); }
constexpr bool kLibcCalls = false;
#else
#define CALL(type, name, parameters, libc_call, ...) \
  inline type t_##name parameters { return libc_call; }
constexpr bool kLibcCalls = true;
#endif
// What libc has no function for.
#define RAW_CALL(type, name, parameters, ...) \
  CALL(type, name, parameters, static_cast<type>(syscall(__VA_ARGS__)), __VA_ARGS__)

// clang-format off

// --- opening ---
CALL(int, open, (const char* path, int flags, mode_t mode = 0), open(path, flags, mode), SYS_open, path, flags, mode)
CALL(int, creat, (const char* path, mode_t mode), creat(path, mode), SYS_creat, path, mode)
CALL(int, openat, (int dirfd, const char* path, int flags, mode_t mode = 0), openat(dirfd, path, flags, mode),
     SYS_openat, dirfd, path, flags, mode)
RAW_CALL(int, openat2, (int dirfd, const char* path, const open_how* how, size_t size), SYS_openat2, dirfd, path, how, size)

// --- attributes, reading ---
CALL(int, stat, (const char* path, struct stat* st), stat(path, st), SYS_stat, path, st)
CALL(int, lstat, (const char* path, struct stat* st), lstat(path, st), SYS_lstat, path, st)
CALL(int, fstat, (int fd, struct stat* st), fstat(fd, st), SYS_fstat, fd, st)
CALL(int, fstatat, (int dirfd, const char* path, struct stat* st, int flags), fstatat(dirfd, path, st, flags),
     SYS_newfstatat, dirfd, path, st, flags)
CALL(int, statx, (int dirfd, const char* path, int flags, unsigned mask, struct statx* st), statx(dirfd, path, flags, mask, st),
     SYS_statx, dirfd, path, flags, mask, st)
CALL(int, access, (const char* path, int mode), access(path, mode), SYS_access, path, mode)
CALL(int, faccessat, (int dirfd, const char* path, int mode), faccessat(dirfd, path, mode, 0), SYS_faccessat, dirfd, path, mode)
CALL(int, faccessat2, (int dirfd, const char* path, int mode, int flags), faccessat(dirfd, path, mode, flags),
     SYS_faccessat2, dirfd, path, mode, flags)
CALL(ssize_t, readlink, (const char* path, char* to, size_t size), readlink(path, to, size), SYS_readlink, path, to, size)
CALL(ssize_t, readlinkat, (int dirfd, const char* path, char* to, size_t size), readlinkat(dirfd, path, to, size),
     SYS_readlinkat, dirfd, path, to, size)
CALL(int, statfs, (const char* path, struct statfs* st), statfs(path, st), SYS_statfs, path, st)
CALL(int, fstatfs, (int fd, struct statfs* st), fstatfs(fd, st), SYS_fstatfs, fd, st)
CALL(int, name_to_handle_at, (int dirfd, const char* path, file_handle* handle, int* mount, int flags),
     name_to_handle_at(dirfd, path, handle, mount, flags), SYS_name_to_handle_at, dirfd, path, handle, mount, flags)

// --- directories ---
RAW_CALL(int, getdents64, (int fd, void* to, unsigned size), SYS_getdents64, fd, to, size)
RAW_CALL(int, getdents, (int fd, void* to, unsigned size), SYS_getdents, fd, to, size)
CALL(int, chdir, (const char* path), chdir(path), SYS_chdir, path)
CALL(int, fchdir, (int fd), fchdir(fd), SYS_fchdir, fd)
#ifdef USE_SYSCALL
inline char* t_getcwd(char* to, size_t size) { return syscall(SYS_getcwd, to, size) < 0 ? nullptr : to; }
#else
inline char* t_getcwd(char* to, size_t size) { return getcwd(to, size); }
#endif

// --- names ---
CALL(int, mkdir, (const char* path, mode_t mode), mkdir(path, mode), SYS_mkdir, path, mode)
CALL(int, mkdirat, (int dirfd, const char* path, mode_t mode), mkdirat(dirfd, path, mode), SYS_mkdirat, dirfd, path, mode)
CALL(int, mknod, (const char* path, mode_t mode, dev_t dev), mknod(path, mode, dev), SYS_mknod, path, mode, dev)
CALL(int, mknodat, (int dirfd, const char* path, mode_t mode, dev_t dev), mknodat(dirfd, path, mode, dev),
     SYS_mknodat, dirfd, path, mode, dev)
CALL(int, symlink, (const char* target, const char* path), symlink(target, path), SYS_symlink, target, path)
CALL(int, symlinkat, (const char* target, int dirfd, const char* path), symlinkat(target, dirfd, path),
     SYS_symlinkat, target, dirfd, path)
CALL(int, link, (const char* from, const char* to), link(from, to), SYS_link, from, to)
CALL(int, linkat, (int fromfd, const char* from, int tofd, const char* to, int flags), linkat(fromfd, from, tofd, to, flags),
     SYS_linkat, fromfd, from, tofd, to, flags)
CALL(int, unlink, (const char* path), unlink(path), SYS_unlink, path)
CALL(int, unlinkat, (int dirfd, const char* path, int flags), unlinkat(dirfd, path, flags), SYS_unlinkat, dirfd, path, flags)
CALL(int, rmdir, (const char* path), rmdir(path), SYS_rmdir, path)
CALL(int, rename, (const char* from, const char* to), rename(from, to), SYS_rename, from, to)
CALL(int, renameat, (int fromfd, const char* from, int tofd, const char* to), renameat(fromfd, from, tofd, to),
     SYS_renameat, fromfd, from, tofd, to)
CALL(int, renameat2, (int fromfd, const char* from, int tofd, const char* to, unsigned flags),
     renameat2(fromfd, from, tofd, to, flags), SYS_renameat2, fromfd, from, tofd, to, flags)

// --- attributes, changing ---
CALL(int, chmod, (const char* path, mode_t mode), chmod(path, mode), SYS_chmod, path, mode)
CALL(int, fchmod, (int fd, mode_t mode), fchmod(fd, mode), SYS_fchmod, fd, mode)
CALL(int, fchmodat, (int dirfd, const char* path, mode_t mode), fchmodat(dirfd, path, mode, 0), SYS_fchmodat, dirfd, path, mode)
RAW_CALL(int, fchmodat2, (int dirfd, const char* path, mode_t mode, int flags), SYS_fchmodat2, dirfd, path, mode, flags)
CALL(int, chown, (const char* path, uid_t uid, gid_t gid), chown(path, uid, gid), SYS_chown, path, uid, gid)
CALL(int, lchown, (const char* path, uid_t uid, gid_t gid), lchown(path, uid, gid), SYS_lchown, path, uid, gid)
CALL(int, fchown, (int fd, uid_t uid, gid_t gid), fchown(fd, uid, gid), SYS_fchown, fd, uid, gid)
CALL(int, fchownat, (int dirfd, const char* path, uid_t uid, gid_t gid, int flags), fchownat(dirfd, path, uid, gid, flags),
     SYS_fchownat, dirfd, path, uid, gid, flags)
CALL(int, utimensat, (int dirfd, const char* path, const timespec times[2], int flags), utimensat(dirfd, path, times, flags),
     SYS_utimensat, dirfd, path, times, flags)
CALL(int, futimens, (int fd, const timespec times[2]), futimens(fd, times), SYS_utimensat, fd, nullptr, times, 0)
CALL(int, utime, (const char* path, const utimbuf* times), utime(path, times), SYS_utime, path, times)
CALL(int, utimes, (const char* path, const timeval times[2]), utimes(path, times), SYS_utimes, path, times)
CALL(int, futimesat, (int dirfd, const char* path, const timeval times[2]), futimesat(dirfd, path, times),
     SYS_futimesat, dirfd, path, times)
CALL(int, truncate, (const char* path, off_t size), truncate(path, size), SYS_truncate, path, size)
CALL(int, ftruncate, (int fd, off_t size), ftruncate(fd, size), SYS_ftruncate, fd, size)
CALL(int, ioctl, (int fd, unsigned long request, void* argument), ioctl(fd, request, argument), SYS_ioctl, fd, request, argument)

// --- locks ---
CALL(int, flock, (int fd, int how), flock(fd, how), SYS_flock, fd, how)
CALL(int, fcntl, (int fd, int command, void* argument), fcntl(fd, command, argument), SYS_fcntl, fd, command, argument)

// --- to the disk ---
CALL(int, fsync, (int fd), fsync(fd), SYS_fsync, fd)
CALL(int, fdatasync, (int fd), fdatasync(fd), SYS_fdatasync, fd)
CALL(int, syncfs, (int fd), syncfs(fd), SYS_syncfs, fd)
CALL(int, sync_file_range, (int fd, off_t from, off_t size, unsigned flags), sync_file_range(fd, from, size, flags),
     SYS_sync_file_range, fd, from, size, flags)
CALL(int, msync, (void* from, size_t size, int flags), msync(from, size, flags), SYS_msync, from, size, flags)

// --- extended attributes ---
CALL(int, setxattr, (const char* path, const char* name, const void* value, size_t size, int flags),
     setxattr(path, name, value, size, flags), SYS_setxattr, path, name, value, size, flags)
CALL(int, lsetxattr, (const char* path, const char* name, const void* value, size_t size, int flags),
     lsetxattr(path, name, value, size, flags), SYS_lsetxattr, path, name, value, size, flags)
CALL(int, fsetxattr, (int fd, const char* name, const void* value, size_t size, int flags),
     fsetxattr(fd, name, value, size, flags), SYS_fsetxattr, fd, name, value, size, flags)
CALL(ssize_t, getxattr, (const char* path, const char* name, void* to, size_t size), getxattr(path, name, to, size),
     SYS_getxattr, path, name, to, size)
CALL(ssize_t, lgetxattr, (const char* path, const char* name, void* to, size_t size), lgetxattr(path, name, to, size),
     SYS_lgetxattr, path, name, to, size)
CALL(ssize_t, fgetxattr, (int fd, const char* name, void* to, size_t size), fgetxattr(fd, name, to, size),
     SYS_fgetxattr, fd, name, to, size)
CALL(ssize_t, listxattr, (const char* path, char* to, size_t size), listxattr(path, to, size), SYS_listxattr, path, to, size)
CALL(ssize_t, llistxattr, (const char* path, char* to, size_t size), llistxattr(path, to, size), SYS_llistxattr, path, to, size)
CALL(ssize_t, flistxattr, (int fd, char* to, size_t size), flistxattr(fd, to, size), SYS_flistxattr, fd, to, size)
CALL(int, removexattr, (const char* path, const char* name), removexattr(path, name), SYS_removexattr, path, name)
CALL(int, lremovexattr, (const char* path, const char* name), lremovexattr(path, name), SYS_lremovexattr, path, name)
CALL(int, fremovexattr, (int fd, const char* name), fremovexattr(fd, name), SYS_fremovexattr, fd, name)

// --- programs ---
CALL(int, execve, (const char* path, char* const argv[], char* const envp[]), execve(path, argv, envp),
     SYS_execve, path, argv, envp)
CALL(int, execveat, (int dirfd, const char* path, char* const argv[], char* const envp[], int flags),
     execveat(dirfd, path, argv, envp, flags), SYS_execveat, dirfd, path, argv, envp, flags)

// --- sockets, watches ---
CALL(int, bind, (int fd, const sockaddr* address, socklen_t size), bind(fd, address, size), SYS_bind, fd, address, size)
CALL(int, connect, (int fd, const sockaddr* address, socklen_t size), connect(fd, address, size), SYS_connect, fd, address, size)
CALL(ssize_t, sendto, (int fd, const void* data, size_t length, int flags, const sockaddr* address, socklen_t size),
     sendto(fd, data, length, flags, address, size), SYS_sendto, fd, data, length, flags, address, size)
CALL(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), sendmsg(fd, message, flags), SYS_sendmsg, fd, message, flags)
CALL(int, sendmmsg, (int fd, mmsghdr* messages, unsigned count, int flags), sendmmsg(fd, messages, count, flags),
     SYS_sendmmsg, fd, messages, count, flags)
CALL(int, getsockname, (int fd, sockaddr* address, socklen_t* size), getsockname(fd, address, size),
     SYS_getsockname, fd, address, size)
CALL(int, getpeername, (int fd, sockaddr* address, socklen_t* size), getpeername(fd, address, size),
     SYS_getpeername, fd, address, size)
CALL(int, inotify_add_watch, (int fd, const char* path, uint32_t mask), inotify_add_watch(fd, path, mask),
     SYS_inotify_add_watch, fd, path, mask)

// clang-format on

#undef CALL
#undef RAW_CALL
