// The table of i386 calls: its numbers, its completeness, what the filter traps; and the layouts.
#include <fcntl.h>
#include <linux/audit.h>
#include <seccomp.h>

#include <set>
#include <string>

#include "launcher/supervisor/filter.h"
#include "launcher/supervisor/i386_layouts.h"
#include "tests/unit/supervisor/bpf.h"
#include "tests/unit/supervisor/i386_fixture.h"

namespace ovl::testing {
namespace {

struct Line {
  const char* name;
  int number;
};
const Line kLines[] = {
#define I386_SAME(name, number, target) {#name, number},
#define I386_CALL(name, number, target, ...) {#name, number},
#define I386_HAND(name, number) {#name, number},
#define I386_REFUSE(name, number, target) {#name, number},
#define I386_ABSENT(name, number) {#name, number},
#include "launcher/supervisor/i386.def"
};

TEST(I386Table, NumbersAreTheKernels) {
  std::set<int> seen;
  for (const Line& line : kLines) {
    EXPECT_TRUE(seen.insert(line.number).second) << line.name << " twice";
    const int known = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, line.name);
    if (known == __NR_SCMP_ERROR) continue;  // newer than the library
    // Sockets' calls of their own came later, and the library has both.
    if (known >= 0) {
      EXPECT_EQ(line.number, known) << line.name;
    }
  }
}

TEST(I386Table, HasEachCallOfX8664) {
  std::set<std::string> names;
  for (const Line& line : kLines) names.insert(line.name);
  for (const char* name : {
#define OVL_OP(name, status, ...) #name,
#define OVL_LEGACY(name, target, ...) #name,
#define OVL_REFUSE(name, code, why) #name,
#include "core/ops/ops.def"
       })
    if (std::string(name) != "newfstatat") {
      EXPECT_TRUE(names.contains(name)) << name;
    }
}

TEST(I386Table, IsWhatTheFilterTraps) {
  const auto filter = make_filter({true, true, false, {1, 2}, false, std::nullopt, true});
  const auto answer = [&](int number, uint64_t a0) {
    seccomp_data call = {};
    call.arch = AUDIT_ARCH_I386;
    call.nr = number;
    call.args[0] = a0;
    call.args[1] = number == 55 || number == 221 ? F_SETLK : 'f' << 8;  // of fcntl, of an ioctl
    return run_filter(filter, call).value_or(0) & SECCOMP_RET_ACTION_FULL;
  };
  const std::set<int> trapped(i386_trapped().begin(), i386_trapped().end());
  const std::set<int> socketcalls(i386_trapped_socketcalls().begin(),
                                  i386_trapped_socketcalls().end());
  for (int number = 0; number < 470; number++) {
    if (number == 102) continue;
    const uint32_t action = answer(number, 0);
    // What is too new for the library has no rule, and is refused altogether.
    if (trapped.contains(number)) {
      EXPECT_TRUE(action == SECCOMP_RET_USER_NOTIF || action == SECCOMP_RET_ERRNO) << number;
    } else
      EXPECT_NE(action, SECCOMP_RET_USER_NOTIF) << number;
  }
  for (int call = 0; call <= 20; call++)
    EXPECT_EQ(answer(102, static_cast<uint64_t>(call)) == SECCOMP_RET_USER_NOTIF,
              socketcalls.contains(call))
        << call;
}

TEST(I386Layouts, NumbersThatDoNotFitAreEoverflow) {
  struct stat st = {};
  st.st_mode = S_IFREG | 0644;
  st.st_nlink = 1;
  st.st_uid = 70000;
  st.st_gid = 5;
  st.st_dev = 0x801;
  i386::OldStat old;
  i386::Stat small;
  i386::Stat64 large;
  EXPECT_EQ(i386::narrow(st, &small).error(), 0);
  EXPECT_EQ(small.st_uid, 65534);
  EXPECT_EQ(small.st_gid, 5);
  EXPECT_EQ(i386::narrow(st, &large).error(), 0);
  EXPECT_EQ(large.st_uid, 70000u);
  st.st_ino = 0x10000;
  EXPECT_EQ(i386::narrow(st, &old).error(), EOVERFLOW);
  EXPECT_EQ(i386::narrow(st, &small).error(), 0);
  st.st_ino = uint64_t{1} << 32;
  EXPECT_EQ(i386::narrow(st, &small).error(), EOVERFLOW);
  EXPECT_EQ(i386::narrow(st, &large).error(), 0);
  st.st_ino = 3;
  st.st_nlink = 0x10000;
  EXPECT_EQ(i386::narrow(st, &small).error(), EOVERFLOW);
  EXPECT_EQ(i386::narrow(st, &old).error(), EOVERFLOW);
  st.st_nlink = 1;
  st.st_size = int64_t{1} << 31;
  EXPECT_EQ(i386::narrow(st, &small).error(), EOVERFLOW);
  EXPECT_EQ(i386::narrow(st, &old).error(), 0);  // cut off, as the kernel does
  st.st_size--;
  EXPECT_EQ(i386::narrow(st, &small).error(), 0);

  struct statfs fs = {};
  i386::Statfs small_fs;
  i386::Statfs64 large_fs;
  fs.f_files = UINT64_MAX;
  EXPECT_EQ(i386::narrow(fs, &small_fs).error(), 0);
  fs.f_files = uint64_t{1} << 32;
  EXPECT_EQ(i386::narrow(fs, &small_fs).error(), EOVERFLOW);
  fs.f_files = 0;
  fs.f_blocks = uint64_t{1} << 32;
  EXPECT_EQ(i386::narrow(fs, &small_fs).error(), EOVERFLOW);
  EXPECT_EQ(i386::narrow(fs, &large_fs).error(), 0);
  fs.f_bsize = int64_t{1} << 32;
  EXPECT_EQ(i386::narrow(fs, &large_fs).error(), EOVERFLOW);
}

}  // namespace
}  // namespace ovl::testing
