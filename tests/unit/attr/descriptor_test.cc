// The same through descriptors: on the lower, on the upper, O_PATH, and on what has no name any
// more.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include "tests/unit/attr/attr_fixture.h"

namespace ovl::testing {
namespace {

class Descriptor : public AttrTest {
 protected:
  struct stat see_fd(int fd) {
    struct stat st = {};
    EXPECT_EQ(run<op_fstat>(fd, UserBuf(&st)), 0);
    return st;
  }
  static UniqueFd open(const std::string& real, int flags) {
    return UniqueFd(::open(real.c_str(), flags | O_CLOEXEC));
  }
};

TEST_F(Descriptor, FstatAgreesWithStat) {
  write_file(lower("/f"), "hello");
  begin();
  UniqueFd low = open(lower("/f"), O_RDONLY);
  const struct stat before = see_fd(low.get());
  ASSERT_EQ(chmod("/f", 0600), 0);
  const struct stat by_path = see("/f"), by_fd = see_fd(low.get());
  EXPECT_EQ(by_fd.st_ino, before.st_ino);
  EXPECT_EQ(by_fd.st_mode, by_path.st_mode);
  struct stat st = {};
  EXPECT_EQ(run<op_newfstatat>(low.get(), UserPath(""), UserBuf(&st), AT_EMPTY_PATH), 0);
  EXPECT_EQ(memcmp(&st, &by_fd, sizeof st), 0);
  UniqueFd up = open(upper("/f"), O_RDONLY);
  EXPECT_EQ(see_fd(up.get()).st_ino, before.st_ino);
}

TEST_F(Descriptor, StaleDataKeepsItsSize) {
  write_file(lower("/f"), "hello");
  begin();
  UniqueFd low = open(lower("/f"), O_RDONLY);
  ASSERT_EQ(run<op_truncate>(path("/f"), 100000l), 0);
  EXPECT_EQ(see("/f").st_size, 100000);
  EXPECT_EQ(see_fd(low.get()).st_size, 5);
}

TEST_F(Descriptor, OutsideIsNative) {
  begin();
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const struct stat st = see_fd(pipes[0]);
  EXPECT_TRUE(S_ISFIFO(st.st_mode));
  EXPECT_EQ(run<op_fchmod>(pipes[0], mode_t{0600}), kNative);
  UniqueFd dir = open(root(), O_RDONLY);
  EXPECT_EQ(run<op_fchmod>(dir.get(), mode_t{0700}), kNative);
  close(pipes[0]);
  close(pipes[1]);
}

TEST_F(Descriptor, ChangesOfALowersDescriptorCopyUp) {
  write_file(lower("/f"), "hello", 0644);
  begin();
  UniqueFd low = open(lower("/f"), O_RDONLY);
  AsUser user;
  EXPECT_EQ(run<op_fchmod>(low.get(), mode_t{0600}), 0);
  EXPECT_EQ(mode("/f"), 0600u);
  const struct stat st = see("/f");
  EXPECT_EQ(run<op_fchown>(low.get(), st.st_uid, st.st_gid), 0);
  timespec times[2] = {{1, 2}, {3, 4}};
  EXPECT_EQ(run<op_utimensat>(low.get(), UserPath(), UserBuf(times), 0), 0);
  EXPECT_EQ(see("/f").st_mtim.tv_sec, 3);
  EXPECT_EQ(run<op_utimensat>(low.get(), UserPath(), UserBuf(times), AT_SYMLINK_NOFOLLOW), -EINVAL);
  EXPECT_EQ(run<op_fsetxattr>(low.get(), UserPath("user.a"), UserBuf(const_cast<char*>("x")),
                              size_t{1}, 0),
            0);
  char value[4];
  EXPECT_EQ(run<op_fgetxattr>(low.get(), UserPath("user.a"), UserBuf(value), sizeof value), 1);
  EXPECT_EQ(run<op_flistxattr>(low.get(), UserBuf(), size_t{0}), 7);
  EXPECT_EQ(run<op_fremovexattr>(low.get(), UserPath("user.a")), 0);
  EXPECT_EQ(run<op_flistxattr>(low.get(), UserBuf(), size_t{0}), 0);
}

TEST_F(Descriptor, PathDescriptorsChangeNothing) {
  write_file(lower("/f"), "hello");
  begin();
  UniqueFd fd = open(lower("/f"), O_PATH);
  EXPECT_EQ(run<op_fchmod>(fd.get(), mode_t{0600}), -EBADF);
  EXPECT_EQ(run<op_fchown>(fd.get(), uid_t(-1), gid_t(-1)), -EBADF);
  EXPECT_EQ(run<op_fsetxattr>(fd.get(), UserPath("user.a"), UserBuf(), size_t{0}, 0), -EBADF);
  EXPECT_EQ(run<op_utimensat>(fd.get(), UserPath(), UserBuf(), 0), -EBADF);
  EXPECT_FALSE(exists(upper("/f")));
  EXPECT_EQ(run<op_fchmodat2>(fd.get(), UserPath(""), mode_t{0600}, AT_EMPTY_PATH), 0);
  EXPECT_EQ(mode("/f"), 0600u);
  EXPECT_EQ(run<op_fchownat>(fd.get(), UserPath(""), uid_t(-1), gid_t(-1), AT_EMPTY_PATH), 0);
}

TEST_F(Descriptor, UnlinkedUpperFileIsChangedThroughItsDescriptor) {
  begin();
  write_file(upper("/f"), "x", 0644);
  if (getuid() == 0) {
    ASSERT_EQ(::chown(upper("/f").c_str(), 1500, 1500), 0);
  }
  UniqueFd fd = open(upper("/f"), O_RDWR);
  const struct stat before = see_fd(fd.get());
  ASSERT_EQ(unlink(upper("/f").c_str()), 0);
  AsUser user;
  EXPECT_EQ(run<op_fchmod>(fd.get(), mode_t{0400}), 0);
  const struct stat st = see_fd(fd.get());
  EXPECT_EQ(st.st_mode, static_cast<mode_t>(S_IFREG | 0400));
  EXPECT_EQ(st.st_nlink, 0u);
  EXPECT_EQ(st.st_ino, before.st_ino);
  EXPECT_EQ(run<op_fsetxattr>(fd.get(), UserPath("user.a"), UserBuf(const_cast<char*>("x")),
                              size_t{1}, 0),
            -EACCES);
}

TEST_F(Descriptor, UnlinkedUpperFileKeepsItsRecordForPathDescriptors) {
  begin();
  write_file(upper("/f"), "x", 0644);
  if (getuid() == 0) {
    ASSERT_EQ(::chown(upper("/f").c_str(), 1500, 1500), 0);
  }
  AsUser user;
  ASSERT_EQ(chmod("/f", 0400), 0);
  UniqueFd fd = open(upper("/f"), O_PATH);
  ASSERT_EQ(unlink(upper("/f").c_str()), 0);
  EXPECT_EQ(see_fd(fd.get()).st_mode, static_cast<mode_t>(S_IFREG | 0400));
  EXPECT_EQ(run<op_fchmodat2>(fd.get(), UserPath(""), mode_t{0040}, AT_EMPTY_PATH), 0);
  EXPECT_EQ(see_fd(fd.get()).st_mode, static_cast<mode_t>(S_IFREG | 0040));
  EXPECT_EQ(run<op_fchmod>(fd.get(), mode_t{0600}), -EBADF);
}

TEST_F(Descriptor, RemovedLowerFileIsChangedInACopy) {
  write_file(lower("/f"), "x", 0644);
  begin();
  UniqueFd fd = open(lower("/f"), O_RDONLY);
  if (mknod(upper("/f").c_str(), S_IFCHR, 0) != 0) GTEST_SKIP() << "no whiteouts here";
  EXPECT_EQ(run<op_fchmod>(fd.get(), mode_t{0400}), 0);
  EXPECT_EQ(see_fd(fd.get()).st_mode & 07777, 0400u);
  EXPECT_EQ(see_fd(fd.get()).st_nlink, 0u);
  EXPECT_EQ(see_fd(fd.get()).st_size, 1);
  char value[4];
  EXPECT_EQ(run<op_fgetxattr>(fd.get(), UserPath("user.a"), UserBuf(value), sizeof value),
            -ENODATA);
}

TEST_F(Descriptor, FileFlagsGoToTheUpper) {
  write_file(lower("/f"), "x");
  begin();
  UniqueFd fd = open(lower("/f"), O_RDONLY);
  int flags = 0;
  if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) GTEST_SKIP() << "no file flags here";
  EXPECT_EQ(run<op_ioctl>(fd.get(), FS_IOC_GETFLAGS, UserBuf(&flags)), kNative);
  // What is there already copies nothing up.
  EXPECT_EQ(run<op_ioctl>(fd.get(), FS_IOC_SETFLAGS, UserBuf(&flags)), 0);
  EXPECT_FALSE(exists(upper("/f")));
  int wanted = flags | FS_NODUMP_FL, now = 0;
  EXPECT_EQ(run<op_ioctl>(fd.get(), FS_IOC_SETFLAGS, UserBuf(&wanted)), 0);
  EXPECT_EQ(run<op_ioctl>(fd.get(), FS_IOC_GETFLAGS, UserBuf(&now)), 0);
  EXPECT_TRUE(now & FS_NODUMP_FL);
  EXPECT_EQ(ioctl(fd.get(), FS_IOC_GETFLAGS, &now), 0);
  EXPECT_EQ(now, flags);
}

TEST_F(Descriptor, OtherRequestsOfFileSystemsAreRefused) {
  write_file(lower("/f"), "x");
  begin();
  UniqueFd fd = open(lower("/f"), O_RDONLY);
  EXPECT_EQ(run<op_ioctl>(fd.get(), FS_IOC_SETVERSION, UserBuf()), -ENOTTY);
  EXPECT_EQ(run<op_ioctl>(fd.get(), FITRIM, UserBuf()), -ENOTTY);
  EXPECT_EQ(run<op_ioctl>(fd.get(), FIONREAD, UserBuf()), kNative);
  EXPECT_EQ(run<op_ioctl>(fd.get(), FICLONE, UserBuf()), kNative);
}

TEST_F(Descriptor, FstatfsAgrees) {
  write_file(lower("/f"), "x");
  begin();
  UniqueFd fd = open(lower("/f"), O_RDONLY);
  struct statfs a = {}, b = {};
  EXPECT_EQ(run<op_fstatfs>(fd.get(), UserBuf(&a)), 0);
  EXPECT_EQ(run<op_statfs>(path("/f"), UserBuf(&b)), 0);
  EXPECT_EQ(a.f_type, b.f_type);
  EXPECT_EQ(a.f_blocks, b.f_blocks);
}

}  // namespace
}  // namespace ovl::testing
