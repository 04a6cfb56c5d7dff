// See data.h.
#include "core/copy_up/data.h"

#include <sys/resource.h>

namespace ovl {
namespace {

constexpr size_t kChunk = 1 << 30;     // for copies in the kernel
constexpr size_t kBuffer = 64 * 1024;  // for copies by hand

// What tells a copy-up's descriptor from a program's. None of it changes what is read; O_NONBLOCK:
// never to wait, should it be no file any more.
constexpr int kOfCopyUp = O_NOFOLLOW | O_NONBLOCK | O_APPEND | O_ASYNC;

class DataCopy {
 public:
  DataCopy(Op& op, int in, int out, off_t size) : op_(op), in_(in), out_(out), size_(size) {}

  Result<void> run() {
    // A reflink carries holes and the size with it.
    if (sys_ficlone(out_, in_).ok()) {
      op_.session().count(Counter::kClonedBytes, static_cast<uint64_t>(size_));
      return {};
    }
    off_t end = 0, written = 0;
    while (end < size_) {
      off_t from;
      TRY(next_data(end, &from, &end));
      if (from == end) continue;
      TRY(range(from, end, &written));
    }
    op_.session().count(Counter::kCopiedBytes, static_cast<uint64_t>(size_));
    return written == size_ ? Result<void>() : sys_ftruncate(out_, size_);  // a hole at the end
  }

 private:
  // The next stretch of data at or after `at`: [*from, *end). Without one: *from == *end == size_.
  Result<void> next_data(off_t at, off_t* from, off_t* end) {
    *from = at;
    *end = size_;
    Result<off_t> data = sys_lseek(in_, at, SEEK_DATA);
    if (!data.ok()) {
      if (data.error() == ENXIO)
        *from = size_;
      else if (data.error() != EINVAL && data.error() != EOPNOTSUPP)
        return Error(data.error());
      return {};
    }
    Result<off_t> hole = sys_lseek(in_, data.value(), SEEK_HOLE);
    if (!hole.ok()) return Error(hole.error());
    *from = data.value() < size_ ? data.value() : size_;
    *end = hole.value() < size_ ? hole.value() : size_;
    return {};
  }

  // *written: up to where `out` has data then.
  Result<void> range(off_t from, off_t end, off_t* written) {
    while (from < end && in_kernel_) {
      const size_t left = static_cast<size_t>(end - from);
      off_t in_at = from, out_at = from;
      Result<size_t> n =
          sys_copy_file_range(in_, &in_at, out_, &out_at, left < kChunk ? left : kChunk);
      if (n.ok() && n.value() > 0) {
        from += static_cast<off_t>(n.value());
      } else if (n.ok() || refused(n.error())) {
        in_kernel_ = false;  // 0: some file systems know the bytes to read(2) only
      } else if (n.error() != EINTR) {
        return Error(n.error());
      }
    }
    if (from < end) TRY(by_hand(&from, end));
    *written = from;
    return {};
  }

  static bool refused(int error) {
    return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS ||
           error == EPERM;
  }

  Result<void> by_hand(off_t* from, off_t end) {
    if (buffer_ == nullptr) buffer_ = op_.arena().array<char>(kBuffer);
    if (buffer_ == nullptr) return Error(ENOMEM);
    while (*from < end) {
      const size_t left = static_cast<size_t>(end - *from);
      Result<size_t> n = sys_pread(in_, buffer_, left < kBuffer ? left : kBuffer, *from);
      if (!n.ok() && n.error() == EINTR) continue;
      if (!n.ok()) return Error(n.error());
      if (n.value() == 0) return {};  // shorter than it said: the rest is zeros
      TRY(write_at(buffer_, n.value(), *from));
      *from += static_cast<off_t>(n.value());
    }
    return {};
  }

  Result<void> write_at(const char* data, size_t size, off_t at) {
    while (size > 0) {
      Result<size_t> n = sys_pwrite(out_, data, size, at);
      if (!n.ok() && n.error() == EINTR) continue;
      if (!n.ok()) return Error(n.error());
      data += n.value();
      size -= n.value();
      at += static_cast<off_t>(n.value());
    }
    return {};
  }

  Op& op_;
  const int in_, out_;
  const off_t size_;
  char* buffer_ = nullptr;
  bool in_kernel_ = true;
};

}  // namespace

Result<UniqueFd> open_lower(CStr real) {
  constexpr int kFlags = O_RDONLY | kOfCopyUp;
  Result<UniqueFd> fd = sys_openat(real, kFlags | O_NOATIME);
  if (!fd.ok() && fd.error() == EPERM) return sys_openat(real, kFlags);
  return fd;
}

bool is_of_copy_up(int flags) {
  return (flags & (O_ACCMODE | O_PATH | kOfCopyUp)) == (O_RDONLY | kOfCopyUp);
}

Result<void> copy_data(Op& op, const Overlay& overlay, int in, int out, uint64_t size) {
  if (size == 0) return sys_ftruncate(out, 0);
  TRY(DataCopy(op, in, out, static_cast<off_t>(size)).run());
  if (overlay.is_volatile) return {};
  const Result<void> synced = sys_fdatasync(out);
  // Any error of writing back, as the kernel notes it for the whole file system
  // (mapping_set_error()). Not those of write(2), which only this copy has: there ENOSPC says that
  // nothing was taken that could be lost.
  if (!synced.ok()) op.session().errors(overlay).set(synced.error());
  return synced;
}

Result<void> may_write(Op& op, uint64_t size) {
  if (op.session().segment().supervised == 0) return {};
  struct rlimit limit;
  TRY(checked(raw_call(SYS_prlimit64, 0, RLIMIT_FSIZE, nullptr, &limit)));
  if (size <= limit.rlim_cur) return {};
  return op.caller().too_large_for_this_process();
}

}  // namespace ovl
