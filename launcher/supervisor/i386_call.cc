// See i386_call.h.
#include "launcher/supervisor/i386_call.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <string>

namespace ovl::i386 {
namespace {

constexpr long kOpenAt = 295, kGetDents64 = 220;
constexpr int kLargeFile = 0100000;  // libc defines it as 0

// Memory below 4 GiB, which an i386 call can name.
class LowMemory {
 public:
  explicit LowMemory(size_t size)
      : size_(size),
        data_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                   -1, 0)) {}
  LowMemory(const LowMemory&) = delete;
  LowMemory& operator=(const LowMemory&) = delete;
  ~LowMemory() {
    if (ok()) munmap(data_, size_);
  }
  bool ok() const { return data_ != MAP_FAILED; }
  void* data() const { return data_; }
  long address() const { return static_cast<long>(reinterpret_cast<uintptr_t>(data_)); }

 private:
  size_t size_;
  void* data_;
};

long call(long number, long a0, long a1, long a2) {
  long result;
  // Older kernels clear r8 to r11.
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(a0), "c"(a1), "d"(a2)
               : "r8", "r9", "r10", "r11", "memory");
  return static_cast<int32_t>(result);
}

}  // namespace

Result<size_t> getdents64(int fd, void* out, size_t size) {
  constexpr size_t kMost = 64 * 1024;
  size = std::min(size, kMost);
  LowMemory memory(size);
  if (!memory.ok()) return Error(ENOMEM);
  const long n = call(kGetDents64, fd, memory.address(), static_cast<long>(size));
  if (n < 0) return Error(static_cast<int>(-n));
  memcpy(out, memory.data(), static_cast<size_t>(n));
  return static_cast<size_t>(n);
}

Result<UniqueFd> open_without_large_file(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return Error(errno);
  const std::string name = "/proc/thread-self/fd/" + std::to_string(fd);
  LowMemory memory(name.size() + 1);
  if (!memory.ok()) return Error(ENOMEM);
  memcpy(memory.data(), name.c_str(), name.size() + 1);
  const long n = call(kOpenAt, AT_FDCWD, memory.address(),
                      (flags | O_CLOEXEC) & ~(kLargeFile | O_CREAT | O_EXCL | O_TRUNC | O_NOFOLLOW |
                                              (O_TMPFILE & ~O_DIRECTORY)));
  if (n < 0) return Error(static_cast<int>(-n));
  return UniqueFd(static_cast<int>(n));
}

}  // namespace ovl::i386
