// What the filter answers, run by hand.
#include "launcher/supervisor/filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include <map>
#include <set>

#include "core/sys/gate.h"
#include "core/sys/kernel_abi.h"
#include "tests/unit/supervisor/bpf.h"

namespace ovl {
namespace {

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW, kTrap = SECCOMP_RET_USER_NOTIF;
constexpr uint32_t kNoCall = SECCOMP_RET_ERRNO | ENOSYS;
constexpr uint32_t k64 = AUDIT_ARCH_X86_64, k32 = AUDIT_ARCH_I386;
constexpr uint32_t kX32 = 0x40000000;
constexpr uint32_t kNewest = 469;

const FilterOptions kAll = {true, true, false, {0x12345678, 0x9abcdef0}};
const FilterOptions kStrict = {false, false, false, {0x12345678, 0x9abcdef0}};
const FilterOptions kBare = {false, false, false, {0, 0}};
const FilterOptions kVolatile = {true,  true,         false, {0x12345678, 0x9abcdef0},
                                 false, std::nullopt, true};

// Calls of ops.def, with what is to become of them.
std::map<uint32_t, uint32_t> table(bool is_volatile) {
  std::map<uint32_t, uint32_t> calls;
#define OVL_OP(name, status, ...) calls[SYS_##name] = kTrap;
#define OVL_OP_VOLATILE(name, status, ...) \
  if (is_volatile) calls[SYS_##name] = kTrap;
#define OVL_LEGACY(name, target, ...) calls[SYS_##name] = kTrap;
#define OVL_REFUSE(name, code, why) calls[SYS_##name] = SECCOMP_RET_ERRNO | (code);
#include "core/ops/ops.def"
  return calls;
}

uint32_t answer(const std::vector<sock_filter>& filter, uint32_t architecture, uint32_t number,
                std::initializer_list<uint64_t> args = {}, uint64_t pointer = 0x401000) {
  seccomp_data call = {};
  call.arch = architecture;
  call.nr = static_cast<int>(number);
  call.instruction_pointer = pointer;
  size_t n = 0;
  for (const uint64_t arg : args) call.args[n++] = arg;
  const std::optional<uint32_t> result = run_filter(filter, call);
  EXPECT_TRUE(result.has_value());
  return result.value_or(0);
}

TEST(Filter, EachLineOfTheTableIsTrappedOrRefused) {
  for (const FilterOptions& options : {kAll, kStrict, kBare, kVolatile}) {
    const auto filter = make_filter(options);
    for (const auto& [number, wanted] : table(options.is_volatile)) {
      // An ioctl of a file system, a lock, a sendto with an address.
      const uint64_t arg = number == SYS_ioctl   ? FS_IOC_SETFLAGS
                           : number == SYS_fcntl ? F_SETLK
                                                 : 1;
      EXPECT_EQ(answer(filter, k64, number, {0, arg, 0, 0, 0x7fff00001000}), wanted) << number;
    }
  }
}

TEST(Filter, AllOtherCallsPassByTheirNumberAlone) {
  for (const FilterOptions& options : {kAll, kStrict, kBare, kVolatile}) {
    const std::map<uint32_t, uint32_t> calls = table(options.is_volatile);
    const auto filter = make_filter(options);
    for (uint32_t number = 0; number <= kNewest; number++) {
      const std::optional<uint32_t> result = run_by_number(filter, k64, number);
      const auto line = calls.find(number);
      if (line == calls.end())
        EXPECT_EQ(result, kAllow) << number;
      else
        EXPECT_NE(result, kAllow) << number;
    }
  }
}

TEST(Filter, NumbersThatAreTooNewOrOfX32AreNoCalls) {
  for (const FilterOptions& options : {kAll, kStrict}) {
    const auto filter = make_filter(options);
    for (uint32_t number = kNewest + 1; number < 1024; number++) {
      EXPECT_EQ(run_by_number(filter, k64, number), kNoCall) << number;
      EXPECT_EQ(run_by_number(filter, k32, number), kNoCall) << number;
    }
    for (uint32_t number = 0; number < 1024; number++)
      EXPECT_EQ(run_by_number(filter, k64, number | kX32), kNoCall) << number;
    for (const uint32_t number : {0x7fffffffu, 0x80000000u, 0xfffffffeu})
      EXPECT_EQ(run_by_number(filter, k64, number), kNoCall) << number;
  }
}

TEST(Filter, TasksStayReadableWhereThatIsAskedFor) {
  FilterOptions options = kAll;
  for (const bool readable : {false, true}) {
    options.readable = readable;
    const auto filter = make_filter(options);
    const uint32_t wanted = readable ? SECCOMP_RET_ERRNO | 0 : kAllow;
    EXPECT_EQ(answer(filter, k64, SYS_prctl, {PR_SET_DUMPABLE, 0}), wanted);
    EXPECT_EQ(answer(filter, k32, 172, {PR_SET_DUMPABLE, 0}), wanted);
    EXPECT_EQ(answer(filter, k64, SYS_prctl, {PR_SET_DUMPABLE, 1}), kAllow);
    EXPECT_EQ(answer(filter, k64, SYS_prctl, {PR_GET_DUMPABLE, 0}), kAllow);
  }
}

TEST(Filter, ACallThatATracerSkipsStaysSkipped) {
  const auto filter = make_filter(kAll);
  EXPECT_EQ(run_by_number(filter, k64, 0xffffffff), kAllow);
}

TEST(Filter, UnknownArchitecturesHaveNoCalls) {
  for (const FilterOptions& options : {kAll, kStrict}) {
    const auto filter = make_filter(options);
    for (const uint32_t other : {uint32_t{AUDIT_ARCH_AARCH64}, uint32_t{AUDIT_ARCH_ARM}, 0u})
      for (uint32_t number = 0; number < 1024; number++)
        EXPECT_EQ(run_by_number(filter, other, number), kNoCall) << number;
  }
}

TEST(Filter, CallsFromTheGatePass) {
  const auto open = make_filter(kAll), closed = make_filter(kStrict);
  for (const uint64_t offset : {uint64_t{0}, uint64_t{2}, uint64_t{kGateSize - 1}}) {
    EXPECT_EQ(answer(open, k64, SYS_openat, {}, kGateAddress + offset), kAllow);
    EXPECT_EQ(answer(open, k64, SYS_ioctl, {0, FS_IOC_SETFLAGS}, kGateAddress + offset), kAllow);
    EXPECT_EQ(answer(closed, k64, SYS_openat, {}, kGateAddress + offset), kTrap);
  }
  for (const uint64_t pointer : {kGateAddress - 1, kGateAddress + kGateSize,
                                 kGateAddress & 0xffffffff, kGateAddress + (uint64_t{1} << 32)})
    EXPECT_EQ(answer(open, k64, SYS_openat, {}, pointer), kTrap) << pointer;
  // What goes past the overlay is refused from there, too.
  EXPECT_EQ(answer(open, k64, SYS_chroot, {}, kGateAddress), SECCOMP_RET_ERRNO | EPERM);
}

TEST(Filter, TheLoadersFstatPasses) {
  FilterOptions options = kAll;
  options.loader = LoaderCall{0x92a, 0xfffffff0};
  const uint64_t from = 0x7f120002092a, path = from - 16;
  const auto with = make_filter(options), without = make_filter(kAll);
  const auto ask = [&](const std::vector<sock_filter>& filter, uint32_t architecture,
                       uint32_t number, uint64_t text, uint64_t flags, uint64_t pointer) {
    return answer(filter, architecture, number, {3, text, 0x7ffc00001000, flags}, pointer);
  };
  EXPECT_EQ(ask(with, k64, SYS_newfstatat, path, AT_EMPTY_PATH, from), kAllow);
  EXPECT_EQ(ask(with, k64, SYS_newfstatat, path + 0x1000, AT_EMPTY_PATH, from + 0x1000), kAllow);
  EXPECT_EQ(ask(without, k64, SYS_newfstatat, path, AT_EMPTY_PATH, from), kTrap);
  EXPECT_EQ(ask(with, k64, SYS_newfstatat, path, 0, from), kTrap);
  EXPECT_EQ(ask(with, k64, SYS_newfstatat, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, from), kTrap);
  EXPECT_EQ(ask(with, k64, SYS_newfstatat, path + 1, AT_EMPTY_PATH, from), kTrap);
  EXPECT_EQ(ask(with, k64, SYS_newfstatat, path + 1, AT_EMPTY_PATH, from + 1), kTrap);
  EXPECT_EQ(ask(with, k64, SYS_newfstatat, path + (uint64_t{1} << 32), AT_EMPTY_PATH, from), kTrap);
  EXPECT_EQ(ask(with, k64, SYS_openat, path, AT_EMPTY_PATH, from), kTrap);
  EXPECT_EQ(ask(with, k64, SYS_fchmodat, path, AT_EMPTY_PATH, from), kTrap);
  // fstatat64 of i386 has another number, and this number is another call's.
  EXPECT_EQ(ask(with, k32, 300, path & 0xffffffff, AT_EMPTY_PATH, from & 0xffffffff), kTrap);
}

TEST(Filter, CallsWithThePassPass) {
  const uint64_t one = 0x12345678, two = 0x9abcdef0, high = uint64_t{0xdead} << 32;
  for (const FilterOptions& options : {kAll, kStrict}) {
    const auto filter = make_filter(options);
    EXPECT_EQ(answer(filter, k64, SYS_chdir, {0, 0, 0, 0, one, two}), kAllow);
    EXPECT_EQ(answer(filter, k64, SYS_execve, {0, 0, 0, 0, one | high, two | high}), kAllow);
    EXPECT_EQ(answer(filter, k64, SYS_chdir, {0, 0, 0, 0, one, 0}), kTrap);
    EXPECT_EQ(answer(filter, k64, SYS_chdir, {0, 0, 0, 0, 0, two}), kTrap);
    EXPECT_EQ(answer(filter, k64, SYS_chdir, {0, 0, 0, 0, two, one}), kTrap);
    EXPECT_EQ(answer(filter, k64, SYS_chroot, {0, 0, 0, 0, one, two}), SECCOMP_RET_ERRNO | EPERM);
  }
  EXPECT_EQ(answer(make_filter(kBare), k64, SYS_chdir, {}), kTrap);
}

TEST(Filter, IoctlsPassButFileSystems) {
  const auto filter = make_filter(kAll);
  const uint64_t garbage = uint64_t{0xffff1234} << 32;  // the kernel takes 32 bits
  for (const uint64_t request : {uint64_t{TCGETS}, uint64_t{FIONREAD}, uint64_t{TIOCGWINSZ},
                                 uint64_t{FIOCLEX}, uint64_t{0x8912}}) {
    EXPECT_EQ(answer(filter, k64, SYS_ioctl, {1, request}), kAllow) << request;
    EXPECT_EQ(answer(filter, k64, SYS_ioctl, {1, request | garbage}), kAllow) << request;
    EXPECT_EQ(answer(filter, k32, 54, {1, request}), kAllow) << request;
  }
  for (const uint64_t request :
       {uint64_t{FS_IOC_GETFLAGS}, uint64_t{FS_IOC_SETFLAGS}, uint64_t{FS_IOC_FSSETXATTR},
        uint64_t{FIDEDUPERANGE}, uint64_t{_IOW(0xf5, 1, int)}, uint64_t{_IO('v', 7)}}) {
    EXPECT_EQ(answer(filter, k64, SYS_ioctl, {1, request}), kTrap) << request;
    EXPECT_EQ(answer(filter, k64, SYS_ioctl, {1, request | garbage}), kTrap) << request;
    EXPECT_EQ(answer(filter, k32, 54, {1, request}), kTrap) << request;
  }
}

constexpr uint32_t kFcntl = 55, kFcntl64 = 221;  // of i386

TEST(Filter, OfFcntlLocksAreTrapped) {
  const auto filter = make_filter(kAll);
  for (const uint32_t number : {kFcntl, kFcntl64}) {
    for (const uint64_t command : {F_DUPFD, F_SETFD, F_GETFL, F_SETOWN, F_SETLEASE})
      EXPECT_EQ(answer(filter, k32, number, {1, command}), kAllow) << command;
    for (const uint64_t command : {5, 6, 7, 12, 13, 14, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW})
      EXPECT_EQ(answer(filter, k32, number, {1, command}), kTrap) << command;
  }
  for (const uint64_t command : {F_DUPFD, F_SETFD, F_GETFL, F_SETOWN, F_SETLEASE})
    EXPECT_EQ(answer(filter, k64, SYS_fcntl, {1, command}), kAllow) << command;
  for (const uint64_t command : {F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLKW})
    EXPECT_EQ(answer(filter, k64, SYS_fcntl, {1, command}), kTrap) << command;
}

TEST(Filter, SendtoIsTrappedWithAnAddress) {
  const auto filter = make_filter(kAll);
  EXPECT_EQ(answer(filter, k64, SYS_sendto, {1, 2, 3, 0, 0, 0}), kAllow);
  EXPECT_EQ(answer(filter, k64, SYS_sendto, {1, 2, 3, 0, 0, 16}), kAllow);
  EXPECT_EQ(answer(filter, k64, SYS_sendto, {1, 2, 3, 0, 0x7fff00001000, 16}), kTrap);
  EXPECT_EQ(answer(filter, k64, SYS_sendto, {1, 2, 3, 0, uint64_t{5} << 32, 16}), kTrap);
}

// --- i386 ---

struct Call {
  const char* name;
  uint32_t number;
};
// arch/x86/entry/syscalls/syscall_32.tbl
constexpr Call kPathsOfI386[] = {
    {"open", 5},
    {"creat", 8},
    {"link", 9},
    {"unlink", 10},
    {"execve", 11},
    {"chdir", 12},
    {"fsync", 118},
    {"fdatasync", 148},
    {"syncfs", 344},
    {"mknod", 14},
    {"chmod", 15},
    {"lchown", 16},
    {"oldstat", 18},
    {"oldfstat", 28},
    {"utime", 30},
    {"access", 33},
    {"rename", 38},
    {"mkdir", 39},
    {"rmdir", 40},
    {"symlink", 83},
    {"oldlstat", 84},
    {"readlink", 85},
    {"readdir", 89},
    {"truncate", 92},
    {"fchmod", 94},
    {"fchown", 95},
    {"statfs", 99},
    {"fstatfs", 100},
    {"stat", 106},
    {"lstat", 107},
    {"fstat", 108},
    {"fchdir", 133},
    {"getdents", 141},
    {"chown", 182},
    {"getcwd", 183},
    {"truncate64", 193},
    {"stat64", 195},
    {"lstat64", 196},
    {"fstat64", 197},
    {"lchown32", 198},
    {"fchown32", 207},
    {"chown32", 212},
    {"getdents64", 220},
    {"setxattr", 226},
    {"lsetxattr", 227},
    {"fsetxattr", 228},
    {"getxattr", 229},
    {"lgetxattr", 230},
    {"fgetxattr", 231},
    {"listxattr", 232},
    {"llistxattr", 233},
    {"flistxattr", 234},
    {"removexattr", 235},
    {"lremovexattr", 236},
    {"fremovexattr", 237},
    {"statfs64", 268},
    {"fstatfs64", 269},
    {"utimes", 271},
    {"inotify_add_watch", 292},
    {"flock", 143},
    {"openat", 295},
    {"mkdirat", 296},
    {"mknodat", 297},
    {"fchownat", 298},
    {"futimesat", 299},
    {"fstatat64", 300},
    {"unlinkat", 301},
    {"renameat", 302},
    {"linkat", 303},
    {"symlinkat", 304},
    {"readlinkat", 305},
    {"fchmodat", 306},
    {"faccessat", 307},
    {"utimensat", 320},
    {"name_to_handle_at", 341},
    {"renameat2", 353},
    {"execveat", 358},
    {"bind", 361},
    {"connect", 362},
    {"getsockname", 367},
    {"getpeername", 368},
    {"sendto", 369},
    {"sendmsg", 370},
    {"sendmmsg", 345},
    {"statx", 383},
    {"utimensat_time64", 412},
    {"openat2", 437},
    {"faccessat2", 439},
};
constexpr Call kRefusedOfI386[] = {
    {"mount", 21},          {"umount", 22},         {"acct", 51},
    {"umount2", 52},        {"chroot", 61},         {"swapon", 87},
    {"pivot_root", 217},    {"fanotify_mark", 339}, {"open_by_handle_at", 342},
    {"open_tree", 428},     {"move_mount", 429},    {"fspick", 433},
    {"mount_setattr", 442},
};
constexpr uint32_t kIoctl = 54, kSocketcall = 102, kUselib = 86, kIoUringSetup = 425;

TEST(Filter, PathCallsOfI386AreTrapped) {
  const auto filter = make_filter(kAll);
  std::set<uint32_t> named = {kIoctl,  kFcntl,        kFcntl64, kSocketcall,
                              kUselib, kIoUringSetup, 430 /* fsopen */};
  for (const Call& call : kPathsOfI386) {
    EXPECT_EQ(answer(filter, k32, call.number, {1, 2, 3, 4, 5, 6}), kTrap) << call.name;
    named.insert(call.number);
  }
  for (const Call& call : kRefusedOfI386) {
    EXPECT_EQ(answer(filter, k32, call.number), SECCOMP_RET_ERRNO | EPERM) << call.name;
    named.insert(call.number);
  }
  EXPECT_EQ(answer(filter, k32, kUselib), kNoCall);
  EXPECT_EQ(answer(filter, k32, kIoUringSetup), kNoCall);
  for (uint32_t number = 0; number <= 451; number++)
    if (named.count(number) == 0) {
      EXPECT_EQ(run_by_number(filter, k32, number), kAllow) << number;
    }
}

TEST(Filter, SocketcallIsTrappedWhereItTakesAddresses) {
  const auto filter = make_filter(kAll);
  const std::set<uint32_t> with_address = {2,  3,  6, 7,
                                           11, 16, 20};  // SYS_BIND ... of <linux/net.h>
  for (uint32_t call = 1; call <= 20; call++)
    EXPECT_EQ(answer(filter, k32, kSocketcall, {call, 0x1000}),
              with_address.count(call) != 0 ? kTrap : kAllow)
        << call;
}

TEST(Filter, NewXattrCallsOfI386AreNoCalls) {
  const auto filter = make_filter(kAll);
  for (uint32_t number = 463; number <= 469; number++)
    EXPECT_EQ(run_by_number(filter, k32, number), kNoCall) << number;
}

TEST(Filter, GateAndPassOfI386) {
  const auto filter = make_filter(kAll);
  EXPECT_EQ(answer(filter, k32, 5, {}, kGateAddress & 0xffffffff), kTrap);
  EXPECT_EQ(answer(filter, k32, 5, {0, 0, 0, 0, 0x12345678, 0x9abcdef0}), kAllow);
}

TEST(Filter, WithoutI386ItHasNoCalls) {
  for (const FilterOptions& options : {kStrict, kBare}) {
    const auto filter = make_filter(options);
    for (uint32_t number = 0; number < 1024; number++)
      EXPECT_EQ(run_by_number(filter, k32, number), kNoCall) << number;
  }
}

}  // namespace
}  // namespace ovl
