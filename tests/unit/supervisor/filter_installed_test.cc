// The filter in force: a child has it, this process answers.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "core/sys/gate.h"
#include "core/sys/kernel_abi.h"
#include "launcher/supervisor/filter.h"
#include "tests/unit/supervisor/below.h"

namespace ovl {
namespace {

constexpr uint32_t kPass[2] = {0x6b8b4567, 0x327b23c6};
// The errno of a call in the child; 0 on success.
template <class... Args>
int error_of(long number, Args... args) {
  return syscall(number, args...) < 0 ? errno : 0;
}

#define EXPECT_BELOW(options, expected, expression)                                       \
  do {                                                                                    \
    const int got = run_below(options, [&] { return expression; });                       \
    if (got == -1) GTEST_SKIP() << "SKIPPED: no user notifications: " << strerror(errno); \
    EXPECT_EQ(got, expected) << #expression;                                              \
  } while (false)

constexpr FilterOptions kOptions = {true, false, false, {kPass[0], kPass[1]}};

TEST(FilterInstalled, PathCallsAreTrapped) {
  struct stat st;
  EXPECT_BELOW(kOptions, kMark, error_of(SYS_openat, AT_FDCWD, "/", O_RDONLY));
  EXPECT_BELOW(kOptions, kMark, error_of(SYS_newfstatat, AT_FDCWD, "/", &st, 0));
  EXPECT_BELOW(kOptions, kMark, error_of(SYS_chdir, "/"));
  EXPECT_BELOW(kOptions, kMark, error_of(SYS_ioctl, 0, FS_IOC_GETFLAGS, nullptr));
}

TEST(FilterInstalled, OthersPass) {
  EXPECT_BELOW(kOptions, 0, error_of(SYS_getppid));
  EXPECT_BELOW(kOptions, EBADF, error_of(SYS_ioctl, -1, TCGETS, nullptr));
  EXPECT_BELOW(kOptions, EBADF, error_of(SYS_sendto, -1, "", 0, 0, nullptr, 0));
  EXPECT_BELOW(kOptions, kMark, error_of(SYS_sendto, -1, "", 0, 0, "", 0));
}

TEST(FilterInstalled, RefusedOnesGetTheirErrno) {
  EXPECT_BELOW(kOptions, EPERM, error_of(SYS_chroot, "/"));
  EXPECT_BELOW(kOptions, ENOSYS, error_of(SYS_io_uring_setup, 1, nullptr));
  EXPECT_BELOW(kOptions, ENOSYS, error_of(SYS_file_setattr, AT_FDCWD, "/", nullptr, 0, 0));
}

TEST(FilterInstalled, UnknownNumbersAndX32AreNoCalls) {
  EXPECT_BELOW(kOptions, ENOSYS, error_of(600));
  EXPECT_BELOW(kOptions, ENOSYS, error_of(SYS_getpid | 0x40000000));
  EXPECT_BELOW(kOptions, ENOSYS, error_of(SYS_openat | 0x40000000, AT_FDCWD, "/", O_RDONLY));
  EXPECT_BELOW(kOptions, ENOSYS, error_of(-1));
}

int i386_getpid() {
  int result;
  asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
  return result < 0 ? -result : 0;
}
int i386_chdir() {
  int result;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(12), "b"(0), "D"(0)
               : "memory", "r8", "r9", "r10", "r11");
  return result < 0 ? -result : 0;
}

TEST(FilterInstalled, CallsOfI386) {
  FilterOptions with = kOptions;
  with.i386 = true;
  EXPECT_BELOW(kOptions, ENOSYS, i386_getpid());
  if (run_below(with, i386_getpid) == ENOSYS) GTEST_SKIP() << "SKIPPED: a kernel without i386";
  EXPECT_BELOW(with, 0, i386_getpid());
  EXPECT_BELOW(with, kMark, i386_chdir());
}

TEST(FilterInstalled, ThePassPasses) {
  EXPECT_BELOW(kOptions, 0, error_of(SYS_chdir, "/", 0, 0, 0, kPass[0], kPass[1]));
  EXPECT_BELOW(kOptions, kMark, error_of(SYS_chdir, "/", 0, 0, 0, kPass[0], kPass[0]));
}

// The gate's code at its address, as the preload maps it.
int chdir_from_the_gate() {
  void* page = mmap(reinterpret_cast<void*>(kGateAddress), kGateSize, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page == MAP_FAILED) return 200;
  memcpy(page, ovl_gate_page, kGateSize);
  mprotect(page, kGateSize, PROT_READ | PROT_EXEC);
  const auto call = reinterpret_cast<decltype(&ovl_gate_call)>(kGateAddress);
  return static_cast<int>(-call(SYS_chdir, reinterpret_cast<long>("/"), 0, 0, 0, 0, 0));
}

TEST(FilterInstalled, TheGatePasses) {
  FilterOptions strict = kOptions;
  strict.gate = false;
  EXPECT_BELOW(kOptions, 0, chdir_from_the_gate());
  EXPECT_BELOW(strict, kMark, chdir_from_the_gate());
}

TEST(FilterInstalled, ASecondListenerIsBusy) {
  const std::vector<sock_filter> filter = make_filter(kOptions);
  EXPECT_BELOW(kOptions, EBUSY, install_filter(filter).error());
}

TEST(FilterInstalled, WithoutNoNewPrivsItIsRefused) {
  const std::vector<sock_filter> filter = make_filter(kOptions);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setresuid(65500, 65500, 65500) != 0) _exit(EACCES);
    const bool has = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    _exit(has ? EACCES : install_filter(filter).error());
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), EACCES);
}

}  // namespace
}  // namespace ovl
