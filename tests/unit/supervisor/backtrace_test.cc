// The call stack of a task that waits for an answer.
#include "launcher/supervisor/backtrace.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>

#include "core/sys/gate.h"
#include "tests/unit/supervisor/below.h"

// Not in a name space, so that the names are what a C program's would be.
extern "C" {

__attribute__((noinline)) long open_by_hand(const char* path) {
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(SYS_openat), "D"(AT_FDCWD), "S"(path), "d"(O_RDONLY)
               : "rcx", "r11", "memory");
  return result;
}

// Its frame is found by the frame pointer alone.
__attribute__((noinline)) long open_with_room(const char* path, size_t room) {
  auto* copy = static_cast<char*>(alloca(room));
  strcpy(copy, path);  // NOLINT(clang-analyzer-security.insecureAPI.strcpy)
  const long result = open_by_hand(copy);
  asm volatile("" : : "r"(copy) : "memory");
  return result;
}

__attribute__((noinline)) long open_deeply(int depth) {
  const long result = depth == 0 ? open_with_room("/none", 64) : open_deeply(depth - 1);
  asm volatile("" : : : "memory");
  return result;
}
}

namespace ovl {
namespace {

constexpr FilterOptions kOptions = {false, false, false, {0, 0}};

// The stack at the child's openat; empty where there are no notifications.
std::vector<Frame> stack_of(const std::function<void()>& body) {
  std::vector<Frame> frames;
  const int got = run_below(
      kOptions,
      [&] {
        body();
        return 0;
      },
      [&](const seccomp_notif& call) {
        if (call.data.nr == SYS_openat) frames = backtrace(static_cast<pid_t>(call.pid));
      });
  if (got != -1) {
    EXPECT_FALSE(frames.empty());
  }
  return frames;
}

std::vector<std::string> functions(const std::vector<Frame>& frames) {
  std::vector<std::string> names;
  for (const Frame& frame : frames) names.push_back(frame.function);
  return names;
}

bool has(const std::vector<Frame>& frames, const std::string& name) {
  const std::vector<std::string> names = functions(frames);
  return std::find(names.begin(), names.end(), name) != names.end();
}

#define NEED(frames) \
  if ((frames).empty()) GTEST_SKIP() << "SKIPPED: no user notifications here"

TEST(Backtrace, AProgramsOwnSystemCallShowsItsFunction) {
  const std::vector<Frame> frames = stack_of([] { open_by_hand("/none"); });
  NEED(frames);
  EXPECT_EQ(frames[0].function, "open_by_hand");
  EXPECT_EQ(frames[0].object, "supervisor_test");
  EXPECT_GT(frames[0].object_offset, 0u);
  const std::string text = frame_text(frames[0]);
  EXPECT_EQ(text.rfind("open_by_hand+0x", 0), 0u) << text;
  EXPECT_NE(text.find(" (supervisor_test+0x"), std::string::npos) << text;
}

TEST(Backtrace, FramesThatOnlyTheFramePointerLeadsTo) {
  const std::vector<Frame> frames = stack_of([] { open_deeply(3); });
  NEED(frames);
  const std::vector<std::string> names = functions(frames);
  ASSERT_GE(names.size(), 6u) << testing::PrintToString(names);
  EXPECT_EQ(names[0], "open_by_hand");
  EXPECT_EQ(names[1], "open_with_room");
  for (int i = 2; i < 6; i++) EXPECT_EQ(names[i], "open_deeply");
  EXPECT_TRUE(has(frames, "main")) << testing::PrintToString(names);
}

TEST(Backtrace, CallsInsideLibcLeadToTheFunctionThatIsCalled) {
  const std::vector<Frame> frames = stack_of([] {
    FILE* file = fopen("/none", "re");
    if (file != nullptr) fclose(file);
  });
  NEED(frames);
  // How many functions of libc are on the way, and what their names are, is libc's business.
  EXPECT_EQ(frames[0].object.rfind("libc", 0), 0u) << frames[0].object;
  EXPECT_FALSE(frames[0].function.empty() && frames[1].function.empty());
  EXPECT_TRUE(has(frames, "main")) << testing::PrintToString(functions(frames));
}

TEST(Backtrace, ASmashedStackEndsTheList) {
  const std::vector<Frame> frames = stack_of([] {
    // Nothing behind the return address, and a stack that ends at once.
    static unsigned long words[64];
    unsigned long result;
    asm volatile("mov %%rsp, %%r12\n\tmov %[words], %%rsp\n\tsyscall\n\tmov %%r12, %%rsp"
                 : "=a"(result)
                 : "a"(SYS_openat), "D"(AT_FDCWD), "S"("/none"),
                   "d"(O_RDONLY), [words] "r"(words + 32)
                 : "rcx", "r11", "r12", "memory");
  });
  NEED(frames);
  EXPECT_LE(frames.size(), 64u);
}

// As the preload maps it.
void map_gate() {
  void* page = mmap(reinterpret_cast<void*>(kGateAddress), kGateSize, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page != MAP_FAILED) memcpy(page, ovl_gate_page, kGateSize);
}

TEST(Backtrace, OnlyOfProgramsThatHaveThePreload) {
  for (const bool gate : {false, true}) {
    std::string text;
    const int got = run_below(
        kOptions,
        [&] {
          if (gate) map_gate();
          prctl(PR_SET_NAME, "named", 0, 0, 0);
          open_by_hand("/none");
          return 0;
        },
        [&](const seccomp_notif& call) { text = trapped_from(static_cast<pid_t>(call.pid)); });
    if (got == -1) GTEST_SKIP() << "SKIPPED: no user notifications here";
    if (gate)
      EXPECT_EQ(text.rfind("named\nopen_by_hand+0x", 0), 0u) << text;
    else
      EXPECT_EQ(text, "");
  }
}

TEST(Backtrace, ATaskThatIsGoneHasNone) { EXPECT_TRUE(backtrace(0x3fffffff).empty()); }

TEST(Backtrace, CodeWithoutAnObject) {
  EXPECT_EQ(frame_text({0x1234, "", 0, "", 0}), "0x1234");
  EXPECT_EQ(frame_text({0x1234, "lib a.so", 0x20, "", 0}), "'lib a.so'+0x20");
}

}  // namespace
}  // namespace ovl
