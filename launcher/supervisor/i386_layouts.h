// Structures of the i386 system calls, as the kernel's compat code reads and fills them, and their
// conversions. Kernel counterpart: include/linux/compat.h, arch/x86/include/asm/compat.h,
// arch/x86/kernel/sys_ia32.c, fs/stat.c, fs/statfs.c, fs/readdir.c, kernel/time/time.c,
// net/compat.c.
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <time.h>
#include <utime.h>

#include "core/base/result.h"
#include "core/sys/kernel_abi.h"

namespace ovl::i386 {

// --- what programs give ---

struct Timespec {
  int32_t tv_sec, tv_nsec;
};
struct Timespec64 {
  int64_t tv_sec;
  int64_t tv_nsec;  // the upper half is padding
};
struct Timeval {
  int32_t tv_sec, tv_usec;
};
struct Utimbuf {
  int32_t actime, modtime;
};
struct Msghdr {
  uint32_t msg_name;
  int32_t msg_namelen;
  uint32_t msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags;
};
struct Mmsghdr {
  Msghdr msg_hdr;
  uint32_t msg_len;
};

timespec widen(const Timespec& from);
timespec widen(const Timespec64& from);
timeval widen(const Timeval& from);
utimbuf widen(const Utimbuf& from);
uintptr_t widen(const uint32_t& pointer);
// Addresses stay the caller's; what they point at keeps its own layout.
mmsghdr widen(const Mmsghdr& from);
msghdr widen(const Msghdr& from);

// --- what programs get ---

struct __attribute__((packed)) OldStat {  // struct __old_kernel_stat
  uint16_t st_dev, st_ino, st_mode, st_nlink, st_uid, st_gid, st_rdev, pad;
  uint32_t st_size, atime, mtime, ctime;
};
struct __attribute__((packed)) Stat {  // struct compat_stat
  uint32_t st_dev, st_ino;
  uint16_t st_mode, st_nlink, st_uid, st_gid;
  uint32_t st_rdev, st_size, st_blksize, st_blocks;
  uint32_t atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
  uint32_t unused[2];
};
struct __attribute__((packed)) Stat64 {  // struct stat64
  uint64_t st_dev;
  uint32_t pad0, st_ino32, st_mode, st_nlink, st_uid, st_gid;
  uint64_t st_rdev;
  uint32_t pad3;
  uint64_t st_size;
  uint32_t st_blksize;
  uint64_t st_blocks;
  uint32_t atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
  uint64_t st_ino;
};
struct __attribute__((packed)) Statfs {  // struct compat_statfs
  uint32_t f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree;
  int32_t f_fsid[2];
  uint32_t f_namelen, f_frsize, f_flags, f_spare[4];
};
struct __attribute__((packed)) Statfs64 {  // struct compat_statfs64
  uint32_t f_type, f_bsize;
  uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree;
  int32_t f_fsid[2];
  uint32_t f_namelen, f_frsize, f_flags, f_spare[4];
};
static_assert(sizeof(OldStat) == 32 && sizeof(Stat) == 64 && sizeof(Stat64) == 96);
static_assert(sizeof(Statfs) == 64 && sizeof(Statfs64) == 84);

// EOVERFLOW: a number does not fit.
Result<void> narrow(const struct stat& from, OldStat* to);
Result<void> narrow(const struct stat& from, Stat* to);
Result<void> narrow(const struct stat& from, Stat64* to);
Result<void> narrow(const struct statfs& from, Statfs* to);
Result<void> narrow(const struct statfs& from, Statfs64* to);

// The other way, for a call that a task is to make: addresses must be its own.
Mmsghdr narrow(const mmsghdr& from);

// --- directory entries ---

struct __attribute__((packed)) Dirent {  // struct compat_linux_dirent; the type stands at the end
  uint32_t d_ino, d_off;
  uint16_t d_reclen;
  char d_name[];
};
struct __attribute__((packed)) OldDirent {  // struct compat_old_linux_dirent
  uint32_t d_ino, d_offset;
  uint16_t d_namlen;
  char d_name[];
};

// A record becomes struct compat_linux_dirent; returns its size. EINVAL: more than `room`;
// EOVERFLOW: the inode number.
Result<size_t> narrow(const KernelDirent& from, char* to, size_t room);

}  // namespace ovl::i386
