// Descriptors that follow their file, while others open, change and rename it: what a write has put
// into a file, everybody reads who asks afterwards.
#include "core/ops/follow.h"

#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "core/caller/followed.h"
#include "core/session/readers.h"
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

class FollowTest : public NamesTest {
 protected:
  void SetUp() override {
    NamesTest::SetUp();
    local_forget_followed();  // in another test's session
  }
  int open_file(const std::string& p, int flags) {
    const long fd = run<op_openat>(AT_FDCWD, UserPath(p.c_str()), flags, static_cast<mode_t>(0644));
    EXPECT_GE(fd, 0) << p;
    return static_cast<int>(fd);
  }
  std::string read_followed(int fd) {
    Op op(caller(), session());
    follow_if_stale(op);
    char bytes[16] = {};
    const ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    return n < 0 ? strerror(errno) : std::string(bytes, static_cast<size_t>(n));
  }
  uint64_t stale() { return stale_count(session()); }
};

TEST_F(FollowTest, NothingIsStaleWhereNobodyReads) {
  write_file(lower("/f"), "old");
  write_file(lower("/g"), "old");
  start();
  const int reader = open_file(at("/g"), O_RDONLY);
  close(open_file(at("/f"), O_RDWR));
  EXPECT_EQ(stale(), 0u);
  EXPECT_EQ(run<op_fchmodat2>(AT_FDCWD, path("/g"), mode_t{0600}, 0), 0);
  EXPECT_EQ(stale(), 0u) << "metadata alone";
  close(open_file(at("/g"), O_RDWR));
  EXPECT_EQ(stale(), 1u);
  close(reader);
}

TEST_F(FollowTest, AChangeThatWasKilledIsLookedForEverAfter) {
  write_file(lower("/f"), "old");
  start();
  const int reader = open_file(at("/f"), O_RDONLY);
  session().state().stale_started.fetch_add(1);  // and then came the kill
  EXPECT_EQ(read_followed(reader), "old");
  const int writer = open_file(at("/f"), O_RDWR);
  ASSERT_EQ(pwrite(writer, "new", 3, 0), 3);
  EXPECT_EQ(read_followed(reader), "new");
  EXPECT_NE(caller().followed(), stale());
  close(reader);
  close(writer);
}

TEST_F(FollowTest, AChildOfForkFollowsForItself) {
  write_file(lower("/f"), "old");
  write_file(lower("/g"), "old");
  start();
  const int f = open_file(at("/f"), O_RDONLY), g = open_file(at("/g"), O_RDONLY);
  close(open_file(at("/f"), O_RDWR));
  EXPECT_EQ(read_followed(f), "old");
  EXPECT_EQ(caller().followed(), stale());
  const int writer = open_file(at("/g"), O_RDWR);
  ASSERT_EQ(pwrite(writer, "new", 3, 0), 3);
  const pid_t child = fork();
  if (child == 0) _exit(read_followed(g) == "new" && caller().followed() == stale() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_followed(g), "new");
}

TEST_F(FollowTest, AChildOfVforkSaysNothingForItsParent) {
  write_file(lower("/f"), "old");
  write_file(lower("/g"), "old");
  start();
  const int f = open_file(at("/f"), O_RDONLY), g = open_file(at("/g"), O_RDONLY);
  close(open_file(at("/f"), O_RDWR));
  EXPECT_EQ(read_followed(f), "old");  // the page is there now, and the parent's
  const uint64_t before = caller().followed();
  const int writer = open_file(at("/g"), O_RDWR);
  ASSERT_EQ(pwrite(writer, "new", 3, 0), 3);
  const pid_t child = vfork();
  if (child == 0) {
    Op op(caller(), session());
    follow_copies(op);
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(caller().followed(), before);
  EXPECT_EQ(read_followed(g), "new");
}

TEST_F(FollowTest, AChildOfVforkThatIsFirstSaysNothingForItsParent) {
  write_file(lower("/f"), "old");
  start();
  const int f = open_file(at("/f"), O_RDONLY);
  const int writer = open_file(at("/f"), O_RDWR);
  ASSERT_EQ(pwrite(writer, "new", 3, 0), 3);
  // A process of its own: this one may have followed something in another test.
  const pid_t child = fork();
  if (child == 0) {
    const pid_t grandchild = vfork();
    if (grandchild == 0) {
      Op op(caller(), session());
      follow_copies(op);
      _exit(0);
    }
    if (waitpid(grandchild, nullptr, 0) != grandchild) _exit(2);
    _exit(read_followed(f) == "new" ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(FollowTest, WhatWasWrittenIsReadByAllWhoHaveItOpen) {
  constexpr int kFiles = 100, kReaders = 3;
  for (int i = 0; i < kFiles; i++) write_file(lower("/f" + std::to_string(i)), "old");
  start();
  std::atomic<int> written = 0, missed = 0, ready = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kReaders; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kFiles; i++) {
        // Some open it before the copy-up, some while it is made, some after it.
        const std::string name = at("/f" + std::to_string(i));
        long fd = -ENOENT;  // as long as it has its other name
        while (fd == -ENOENT)
          fd = run<op_openat>(AT_FDCWD, UserPath(name.c_str()), O_RDONLY, mode_t{0});
        if (t == 0) ready = i + 1;
        while (written <= i) (void)read_followed(static_cast<int>(fd));
        if (read_followed(static_cast<int>(fd)) != "new") missed++;
        close(static_cast<int>(fd));
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < kFiles; i++) {
      if (i % 2 == 0)
        while (ready <= i) std::this_thread::yield();
      const std::string name = at("/f" + std::to_string(i)), moved = name + ".moved";
      const int fd = open_file(name, O_RDWR);
      if (pwrite(fd, "new", 3, 0) != 3) missed++;
      close(fd);
      if (i % 2 == 0 && run<op_renameat2>(AT_FDCWD, UserPath(name.c_str()), AT_FDCWD,
                                          UserPath(moved.c_str()), 0u) != 0)
        missed++;
      written = i + 1;
      if (i % 2 == 0)  // for those that come later
        while (run<op_renameat2>(AT_FDCWD, UserPath(moved.c_str()), AT_FDCWD,
                                 UserPath(name.c_str()), 0u) != 0)
          missed++;
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(missed, 0);
}

TEST_F(FollowTest, WhatIsForgottenDuringALookStaysForgotten) {
  write_file(lower("/f"), "old");
  start();
  const int reader = open_file(at("/f"), O_RDONLY);
  close(open_file(at("/f"), O_RDWR));
  const uint64_t count = stale();
  EXPECT_NE(caller().followed(), count);
  local_forget_followed();  // a descriptor was received
  caller().set_followed(count);
  EXPECT_NE(caller().followed(), count);
  caller().set_followed(count);
  EXPECT_EQ(caller().followed(), count);
  close(reader);
}

// Who opens and who copies: one of them sees the other.
TEST_F(FollowTest, NoReaderSlipsBetweenTheCopyAndTheNews) {
  start();
  for (int round = 0; round < 20000; round++) {
    StatX file{};
    file.stx_ino = static_cast<uint64_t>(round) + 1;
    const uint64_t news = stale();
    std::atomic<bool> copied = false;
    std::thread copier([&] {
      const DataChange change(session(), &file);
      copied = true;
    });
    const uint64_t stamp = reader_stamp(session());
    const bool saw_lower = !copied;
    const bool slipped = saw_lower && note_reader(session(), file, stamp);
    copier.join();
    ASSERT_TRUE(!slipped || stale() > news) << round;
  }
}

}  // namespace
}  // namespace ovl::testing
