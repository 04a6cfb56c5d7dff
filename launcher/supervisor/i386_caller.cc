// See i386_caller.h.
#include "launcher/supervisor/i386_caller.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "launcher/supervisor/i386_call.h"
#include "launcher/supervisor/i386_layouts.h"

namespace ovl {
namespace {

constexpr uintptr_t kWindowMark = uintptr_t{1} << 62;
constexpr unsigned kWindowShift = 40;  // the lower bits are the offset in one
constexpr uint64_t kAddressMost = 0xffffffff;
constexpr int kLargeFile = 0100000;              // libc defines it as 0
constexpr uint64_t kSmallFileMost = 0x7fffffff;  // MAX_NON_LFS

// A part of the caller's memory that is not below 4 GiB does not exist.
Result<uintptr_t> inside(uint32_t address, uint64_t offset, size_t size) {
  if (address + offset + size > kAddressMost + 1) return Error(EFAULT);
  return static_cast<uintptr_t>(address + offset);
}

}  // namespace

long CompatCaller::window(Layout layout, long address, size_t room) {
  if (address == 0) return 0;
  const int index = window_count_++;
  windows_[index] = Window{layout, static_cast<uint32_t>(address), room};
  return static_cast<long>(kWindowMark | static_cast<uintptr_t>(index) << kWindowShift);
}

const CompatCaller::Window* CompatCaller::window_at(uintptr_t address, size_t* offset) const {
  if ((address & kWindowMark) == 0) return nullptr;
  *offset = address & ((uintptr_t{1} << kWindowShift) - 1);
  return &windows_[(address & ~kWindowMark) >> kWindowShift];
}

template <class Theirs, class Ours>
Result<void> CompatCaller::read(const Window& window, size_t offset, void* to, size_t size) {
  if (offset % sizeof(Ours) != 0 || size % sizeof(Ours) != 0) return Error(EIO);
  const size_t first = offset / sizeof(Ours), count = size / sizeof(Ours);
  std::vector<Theirs> theirs(count);
  const size_t bytes = count * sizeof(Theirs);
  const uintptr_t from = TRY(inside(window.address, first * sizeof(Theirs), bytes));
  TRY(real_.copy_in(theirs.data(), UserPtr<const void>(from), bytes));
  for (size_t i = 0; i < count; i++) {
    const Ours ours = i386::widen(theirs[i]);
    memcpy(static_cast<char*>(to) + i * sizeof ours, &ours, sizeof ours);
  }
  return {};
}

template <class Theirs, class Ours>
Result<void> CompatCaller::fill(const Window& window, const void* from, size_t size) {
  if (size != sizeof(Ours)) return Error(EIO);
  Theirs theirs;
  TRY(i386::narrow(*static_cast<const Ours*>(from), &theirs));
  const uintptr_t to = TRY(inside(window.address, 0, sizeof theirs));
  return real_.copy_out(UserBuf(to), &theirs, sizeof theirs);
}

// sendmmsg(2)'s result for one message.
Result<void> CompatCaller::fill_length(const Window& window, size_t offset, const void* from,
                                       size_t size) {
  if (offset % sizeof(mmsghdr) != offsetof(mmsghdr, msg_len) || size != sizeof(uint32_t))
    return Error(EIO);
  const size_t there =
      offset / sizeof(mmsghdr) * sizeof(i386::Mmsghdr) + offsetof(i386::Mmsghdr, msg_len);
  return real_.copy_out(UserBuf(TRY(inside(window.address, there, size))), from, size);
}

Result<void> CompatCaller::fill_dirents(const Window& window, const void* from, size_t size) {
  std::vector<char> records(size);  // each becomes smaller
  size_t used = 0;
  const auto* bytes = static_cast<const char*>(from);
  for (size_t at = 0; at < size;) {
    const auto* record = reinterpret_cast<const KernelDirent*>(bytes + at);
    used += TRY(i386::narrow(*record, records.data() + used, std::min(size, window.room) - used));
    at += record->d_reclen;
  }
  const uintptr_t to = TRY(inside(window.address, 0, used));
  TRY(real_.copy_out(UserBuf(to), records.data(), used));
  filled_ = used;
  return {};
}

// fillonedir(): the entry's own position, and only its own size.
Result<void> CompatCaller::fill_old_dirent(const Window& window, const void* from) {
  const auto* record = static_cast<const KernelDirent*>(from);
  const size_t length = strlen(record->d_name);
  i386::OldDirent head = {static_cast<uint32_t>(record->d_ino), static_cast<uint32_t>(position_),
                          static_cast<uint16_t>(length)};
  if (head.d_ino != record->d_ino) return Error(EOVERFLOW);
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes.append(record->d_name, length + 1);
  const uintptr_t to = TRY(inside(window.address, 0, bytes.size()));
  return real_.copy_out(UserBuf(to), bytes.data(), bytes.size());
}

Result<void> CompatCaller::copy_in(void* to, UserPtr<const void> from, size_t size) {
  size_t offset;
  const Window* window = window_at(from.address(), &offset);
  if (window == nullptr) return real_.copy_in(to, from, size);
  switch (window->layout) {
    case kTimespecs:
      return read<i386::Timespec, timespec>(*window, offset, to, size);
    case kTimespecs64:
      return read<i386::Timespec64, timespec>(*window, offset, to, size);
    case kTimevals:
      return read<i386::Timeval, timeval>(*window, offset, to, size);
    case kUtimbuf:
      return read<i386::Utimbuf, utimbuf>(*window, offset, to, size);
    case kPointers:
      return read<uint32_t, uintptr_t>(*window, offset, to, size);
    case kMessage:
      return read<i386::Msghdr, msghdr>(*window, offset, to, size);
    case kMessages:
      // The head of one of them.
      if (offset % sizeof(mmsghdr) == 0 && size == sizeof(msghdr)) {
        mmsghdr whole;
        TRY((read<i386::Mmsghdr, mmsghdr>(*window, offset, &whole, sizeof whole)));
        memcpy(to, &whole.msg_hdr, sizeof whole.msg_hdr);
        return {};
      }
      break;
    default:
      break;
  }
  return Error(EIO);  // an operation reads otherwise than its line in i386.def says
}

Result<void> CompatCaller::copy_out(UserBuf to, const void* from, size_t size) {
  size_t offset;
  const Window* window = window_at(to.address(), &offset);
  if (window == nullptr) return real_.copy_out(to, from, size);
  if (size == 0) return {};  // the end of a directory
  if (window->layout == kMessages) return fill_length(*window, offset, from, size);
  if (offset != 0) return Error(EIO);
  switch (window->layout) {
    case kOldStat:
      return fill<i386::OldStat, struct stat>(*window, from, size);
    case kStat:
      return fill<i386::Stat, struct stat>(*window, from, size);
    case kStat64:
      return fill<i386::Stat64, struct stat>(*window, from, size);
    case kStatfs:
      return fill<i386::Statfs, struct statfs>(*window, from, size);
    case kStatfs64:
      return fill<i386::Statfs64, struct statfs>(*window, from, size);
    case kDirents:
      return fill_dirents(*window, from, size);
    case kOldDirent:
      return fill_old_dirent(*window, from);
    default:
      return Error(EIO);
  }
}

Result<CStr> CompatCaller::copy_in_path(Arena& arena, UserPath path) {
  return real_.copy_in_path(arena, path);
}
Result<CStr> CompatCaller::copy_in_string(Arena& arena, UserPath text, size_t limit) {
  return real_.copy_in_string(arena, text, limit);
}

// The operations have looked at what is in an overlay. Kernel counterpart: generic_file_open().
Outcome CompatCaller::open_for_caller(CStr path, int flags, mode_t mode, Opens what,
                                      bool kernel_finds) {
  StatX st;
  const int follow = (flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
  if (what == Opens::kAnything && (flags & (kLargeFile | O_PATH)) == 0 &&
      sys_statx(path, follow | AT_NO_AUTOMOUNT, &st).ok() && S_ISREG(st.stx_mode) &&
      st.stx_size > kSmallFileMost && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL) &&
      (flags & O_DIRECTORY) == 0)
    return Error(EOVERFLOW);
  return real_.open_for_caller(path, flags, mode, what, kernel_finds);
}

long CompatCaller::raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) {
  size_t offset;
  // Where the lengths of the messages belong.
  if (number == SYS_sendmmsg)
    if (const Window* window = window_at(static_cast<uintptr_t>(a4), &offset)) a4 = window->address;
  return real_.raw(number, a0, a1, a2, a3, a4, a5);
}

// A file that was opened for writing without O_LARGEFILE takes no data past 2 GiB: EFBIG. Where it
// can't be opened once more (a new file that nobody may write to) it takes them.
Outcome CompatCaller::give_fd(UniqueFd fd, int flags) {
  if (small_files_) {
    Result<UniqueFd> small = i386::open_without_large_file(fd.get());
    // The first is closed by that: the program's is to be the last that is open for writing.
    if (small.ok()) fd = std::move(small).value();
  }
  return real_.give_fd(std::move(fd), flags);
}

Result<size_t> CompatCaller::list_directory(int fd, void* out, size_t size) {
  return i386::getdents64(fd, out, size);
}

}  // namespace ovl
