// fstat of descriptors: told by the kernel alone only while that is right.
#include "core/session/plain.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

class Plain : public OverlayTest {
 protected:
  struct stat stat_of(long fd) {
    struct stat st {};
    EXPECT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
    return st;
  }
  long open(const char* rest, int flags = O_RDONLY) {
    return run<op_openat>(AT_FDCWD, path(rest), flags, mode_t{0644});
  }
  bool known(const struct stat& st) {
    return is_plain(shown_stamp(session()), st.st_dev, st.st_ino);
  }
};

TEST_F(Plain, AnOpenedLowerFileIsTold) {
  write_file(lower("/f"), "x");
  start();
  const long fd = open("/f");
  EXPECT_TRUE(known(stat_of(fd)));
  close(static_cast<int>(fd));
}

TEST_F(Plain, AChangedModeIsSeenThroughAnOldDescriptor) {
  write_file(lower("/f"), "x", 0644);
  start();
  const long fd = open("/f");
  EXPECT_EQ(stat_of(fd).st_mode & 07777, mode_t{0644});
  ASSERT_EQ(run<op_fchmodat2>(AT_FDCWD, path("/f"), mode_t{0600}, 0), 0);
  EXPECT_EQ(stat_of(fd).st_mode & 07777, mode_t{0600});
  close(static_cast<int>(fd));
}

TEST_F(Plain, ARecordedModeOfAnUpperFileIsSeen) {
  start();
  const long fd = open("/new", O_RDWR | O_CREAT);
  close(static_cast<int>(fd));
  const long again = open("/new");
  EXPECT_EQ(stat_of(again).st_mode & 07777, mode_t{0644});
  ASSERT_EQ(run<op_fchmodat2>(AT_FDCWD, path("/new"), mode_t{0044}, 0), 0);
  EXPECT_EQ(stat_of(again).st_mode & 07777, mode_t{0044});
  close(static_cast<int>(again));
}

TEST_F(Plain, AKilledChangeMakesNobodyBelieveTheTable) {
  write_file(lower("/f"), "x");
  start();
  const long fd = open("/f");
  const struct stat st = stat_of(fd);
  session().state().shown_started.fetch_add(1);
  EXPECT_FALSE(known(st));
  EXPECT_EQ(stat_of(fd).st_ino, st.st_ino);
  close(static_cast<int>(fd));
}

}  // namespace
}  // namespace ovl::testing
