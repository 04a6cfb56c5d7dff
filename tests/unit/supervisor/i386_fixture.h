// A 32-bit caller for unit tests: this process, with memory below 4 GiB for its arguments. The
// same call can be made natively (int 0x80), for comparison.
#pragma once

#include <sys/socket.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "launcher/supervisor/i386.h"
#include "tests/support/fixture.h"

namespace ovl::testing {

constexpr long kCwd = 0xffffff9c;        // AT_FDCWD as the register has it
constexpr int kI386LargeFile = 0100000;  // O_LARGEFILE, which libc defines as 0

#define NEEDS_I386() \
  if (!kernel_knows_i386()) GTEST_SKIP() << "this kernel takes no i386 calls"

// Does the kernel take i386 calls?
inline bool kernel_knows_i386() {
  const pid_t child = fork();
  if (child == 0) {
    long result;
    asm volatile("int $0x80"
                 : "=a"(result)
                 : "a"(20L /* getpid */)
                 : "r8", "r9", "r10", "r11", "memory");
    _exit(static_cast<int>(result) == getpid() ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0;
}

// An i386 call of this process itself. -errno on failure.
inline long native_i386(long number, const std::vector<long>& args) {
  long a[6] = {};
  for (size_t i = 0; i < args.size(); i++) a[i] = args[i];
  long result;
  register long a5 asm("r12") = a[5];
  asm volatile("push %%rbp\n mov %%r12, %%rbp\n int $0x80\n pop %%rbp"
               : "=a"(result)
               : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]), "r"(a5)
               : "r8", "r9", "r10", "r11", "memory");
  return static_cast<int>(result);
}

// Memory that an i386 call can name.
class Low {
 public:
  Low();
  ~Low();
  Low(const Low&) = delete;
  Low& operator=(const Low&) = delete;
  // Copies; the addresses stay good.
  long text(const std::string& value) { return bytes(value.c_str(), value.size() + 1); }
  long bytes(const void* data, size_t size);
  long room(size_t size, unsigned char fill = 0xaa);
  template <class T>
  long value(const T& v) {
    return bytes(&v, sizeof v);
  }
  template <class T>
  static T& at(long address) {
    return *reinterpret_cast<T*>(address);
  }
  static std::string bytes_at(long address, size_t size) {
    return std::string(reinterpret_cast<char*>(address), size);
  }
  // The last `size` bytes before memory that can't be had.
  long at_the_end(size_t size) const;

 private:
  static constexpr size_t kSize = 1 << 20;
  char* data_;
  size_t used_ = 0;
};

// Bad addresses are EFAULT here; what a task would do itself is noted.
class I386Caller final : public LocalCaller {
 public:
  Result<CStr> copy_in_path(Arena& arena, UserPath path) override;
  Result<void> copy_in(void* to, UserPtr<const void> from, size_t size) override;
  Result<void> copy_out(UserBuf to, const void* from, size_t size) override;
  Result<CStr> copy_in_string(Arena& arena, UserPath text, size_t limit) override;
  Outcome give_fd(UniqueFd fd, int flags) override;
  Outcome execute(const ExecRequest& request) override;
  long raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) override;

  int lease = -1;                       // errno of a lease on what was given last
  std::vector<std::string> argv, envp;  // of the last execute()
  std::vector<msghdr> messages;         // of the last sendmsg or sendmmsg
  std::vector<std::string> addresses;   // theirs
  long answer = 0;                      // what these return
};

class I386Test : public OverlayTest {
 protected:
  // As run<>(), by number.
  long call(long number, const std::vector<long>& args) {
    long a[6] = {};
    for (size_t i = 0; i < args.size(); i++) a[i] = args[i];
    const Outcome outcome = dispatch_i386(task, session(), number, a);
    return outcome.is_native() ? kNative : outcome.value();
  }
  long path_at(const std::string& rest) { return low.text(at(rest)); }
  // Of an overlay that is not shown in place, so that nothing is left to the kernel.
  void begin() {
    Options options;
    options.in_place = false;
    start(options);
  }

  Low low;
  I386Caller task;
};

}  // namespace ovl::testing
