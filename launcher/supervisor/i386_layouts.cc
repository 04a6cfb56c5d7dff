// See i386_layouts.h.
#include "launcher/supervisor/i386_layouts.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

namespace ovl::i386 {
namespace {

constexpr uint64_t kSizeMost = 0x7fffffff;  // MAX_NON_LFS

template <class To, class From>
bool fits(From value) {
  return static_cast<To>(value) == value;
}

unsigned read_overflow_id(const char* file) {
  constexpr unsigned kUsual = 65534;
  unsigned id = kUsual;
  if (FILE* stream = fopen(file, "re")) {
    if (fscanf(stream, "%u", &id) != 1) id = kUsual;
    fclose(stream);
  }
  return id;
}

// high2lowuid(), high2lowgid()
uint16_t low_uid(uid_t uid) {
  static const unsigned overflow = read_overflow_id("/proc/sys/kernel/overflowuid");
  return static_cast<uint16_t>(fits<uint16_t>(uid) ? uid : overflow);
}
uint16_t low_gid(gid_t gid) {
  static const unsigned overflow = read_overflow_id("/proc/sys/kernel/overflowgid");
  return static_cast<uint16_t>(fits<uint16_t>(gid) ? gid : overflow);
}

uint16_t old_device(dev_t dev) { return static_cast<uint16_t>(major(dev) << 8 | minor(dev)); }
// The kernel's has 12 and 20 bits, which libc's larger form keeps in the same places.
uint32_t new_device(dev_t dev) { return static_cast<uint32_t>(dev); }

uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }

// What the structures with 16-bit numbers have in common.
template <class To>
Result<void> narrow_numbers(const struct stat& from, To* to) {
  to->st_ino = static_cast<decltype(to->st_ino)>(from.st_ino);
  to->st_mode = static_cast<uint16_t>(from.st_mode);
  to->st_nlink = static_cast<uint16_t>(from.st_nlink);
  if (to->st_ino != from.st_ino || to->st_nlink != from.st_nlink) return Error(EOVERFLOW);
  to->st_uid = low_uid(from.st_uid);
  to->st_gid = low_gid(from.st_gid);
  to->st_size = low(static_cast<uint64_t>(from.st_size));
  to->atime = low(static_cast<uint64_t>(from.st_atim.tv_sec));
  to->mtime = low(static_cast<uint64_t>(from.st_mtim.tv_sec));
  to->ctime = low(static_cast<uint64_t>(from.st_ctim.tv_sec));
  return {};
}

template <class To>
void narrow_fractions(const struct stat& from, To* to) {
  to->atime_nsec = low(static_cast<uint64_t>(from.st_atim.tv_nsec));
  to->mtime_nsec = low(static_cast<uint64_t>(from.st_mtim.tv_nsec));
  to->ctime_nsec = low(static_cast<uint64_t>(from.st_ctim.tv_nsec));
}

template <class To>
void copy_statfs(const struct statfs& from, To* to) {
  memset(to, 0, sizeof *to);
  to->f_type = low(static_cast<uint64_t>(from.f_type));
  to->f_bsize = low(static_cast<uint64_t>(from.f_bsize));
  to->f_blocks = static_cast<decltype(to->f_blocks)>(from.f_blocks);
  to->f_bfree = static_cast<decltype(to->f_bfree)>(from.f_bfree);
  to->f_bavail = static_cast<decltype(to->f_bavail)>(from.f_bavail);
  to->f_files = static_cast<decltype(to->f_files)>(from.f_files);
  to->f_ffree = static_cast<decltype(to->f_ffree)>(from.f_ffree);
  memcpy(to->f_fsid, &from.f_fsid, sizeof to->f_fsid);
  to->f_namelen = low(static_cast<uint64_t>(from.f_namelen));
  to->f_frsize = low(static_cast<uint64_t>(from.f_frsize));
  to->f_flags = low(static_cast<uint64_t>(from.f_flags));
}

template <class T>
T* at(uint32_t address) {
  return reinterpret_cast<T*>(uintptr_t{address});
}

}  // namespace

timespec widen(const Timespec& from) { return timespec{from.tv_sec, from.tv_nsec}; }
timespec widen(const Timespec64& from) {
  return timespec{from.tv_sec, static_cast<long>(from.tv_nsec & 0xffffffff)};
}
timeval widen(const Timeval& from) { return timeval{from.tv_sec, from.tv_usec}; }
utimbuf widen(const Utimbuf& from) { return utimbuf{from.actime, from.modtime}; }
uintptr_t widen(const uint32_t& pointer) { return pointer; }

msghdr widen(const Msghdr& from) {
  msghdr to = {};
  to.msg_name = at<void>(from.msg_name);
  to.msg_namelen = static_cast<socklen_t>(from.msg_namelen);
  to.msg_iov = at<iovec>(from.msg_iov);
  to.msg_iovlen = from.msg_iovlen;
  to.msg_control = at<void>(from.msg_control);
  to.msg_controllen = from.msg_controllen;
  to.msg_flags = static_cast<int>(from.msg_flags);
  return to;
}
mmsghdr widen(const Mmsghdr& from) { return mmsghdr{widen(from.msg_hdr), from.msg_len}; }

Mmsghdr narrow(const mmsghdr& from) {
  const auto pointer = [](const void* p) { return low(reinterpret_cast<uintptr_t>(p)); };
  const msghdr& head = from.msg_hdr;
  return {{pointer(head.msg_name), static_cast<int32_t>(head.msg_namelen), pointer(head.msg_iov),
           low(head.msg_iovlen), pointer(head.msg_control), low(head.msg_controllen),
           static_cast<uint32_t>(head.msg_flags)},
          from.msg_len};
}

// cp_old_stat(). The size is cut off, as a 64-bit kernel does it.
Result<void> narrow(const struct stat& from, OldStat* to) {
  memset(to, 0, sizeof *to);
  TRY(narrow_numbers(from, to));
  to->st_dev = old_device(from.st_dev);
  to->st_rdev = old_device(from.st_rdev);
  return {};
}

// cp_compat_stat()
Result<void> narrow(const struct stat& from, Stat* to) {
  memset(to, 0, sizeof *to);
  TRY(narrow_numbers(from, to));
  if (static_cast<uint64_t>(from.st_size) > kSizeMost) return Error(EOVERFLOW);
  to->st_dev = new_device(from.st_dev);
  to->st_rdev = new_device(from.st_rdev);
  to->st_blksize = low(static_cast<uint64_t>(from.st_blksize));
  to->st_blocks = low(static_cast<uint64_t>(from.st_blocks));
  narrow_fractions(from, to);
  return {};
}

// cp_stat64()
Result<void> narrow(const struct stat& from, Stat64* to) {
  memset(to, 0, sizeof *to);
  to->st_dev = new_device(from.st_dev);
  to->st_ino32 = low(from.st_ino);
  to->st_ino = from.st_ino;
  to->st_mode = from.st_mode;
  to->st_nlink = low(from.st_nlink);
  to->st_uid = from.st_uid;
  to->st_gid = from.st_gid;
  to->st_rdev = new_device(from.st_rdev);
  to->st_size = static_cast<uint64_t>(from.st_size);
  to->st_blksize = low(static_cast<uint64_t>(from.st_blksize));
  to->st_blocks = static_cast<uint64_t>(from.st_blocks);
  to->atime = low(static_cast<uint64_t>(from.st_atim.tv_sec));
  to->mtime = low(static_cast<uint64_t>(from.st_mtim.tv_sec));
  to->ctime = low(static_cast<uint64_t>(from.st_ctim.tv_sec));
  narrow_fractions(from, to);
  return {};
}

// put_compat_statfs()
Result<void> narrow(const struct statfs& from, Statfs* to) {
  const uint64_t together = from.f_blocks | from.f_bfree | from.f_bavail |
                            static_cast<uint64_t>(from.f_bsize) |
                            static_cast<uint64_t>(from.f_frsize);
  if (!fits<uint32_t>(together)) return Error(EOVERFLOW);
  for (const uint64_t count : {from.f_files, from.f_ffree})
    if (count != UINT64_MAX && !fits<uint32_t>(count)) return Error(EOVERFLOW);
  copy_statfs(from, to);
  return {};
}

// put_compat_statfs64()
Result<void> narrow(const struct statfs& from, Statfs64* to) {
  if (!fits<uint32_t>(static_cast<uint64_t>(from.f_bsize) | static_cast<uint64_t>(from.f_frsize)))
    return Error(EOVERFLOW);
  copy_statfs(from, to);
  return {};
}

// compat_filldir()
Result<size_t> narrow(const KernelDirent& from, char* to, size_t room) {
  const size_t length = strlen(from.d_name);
  const size_t size = (sizeof(Dirent) + length + 2 + 3) & ~size_t{3};
  if (size > room) return Error(EINVAL);
  if (!fits<uint32_t>(from.d_ino)) return Error(EOVERFLOW);
  memset(to, 0, size);
  auto* dirent = reinterpret_cast<Dirent*>(to);
  dirent->d_ino = low(from.d_ino);
  dirent->d_off = low(static_cast<uint64_t>(from.d_off));
  dirent->d_reclen = static_cast<uint16_t>(size);
  memcpy(dirent->d_name, from.d_name, length);
  to[size - 1] = static_cast<char>(from.d_type);
  return size;
}

}  // namespace ovl::i386
