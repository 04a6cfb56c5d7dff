// open(2): what is opened, copied up, created, refused.
#include <linux/openat2.h>

#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

using Open = NamesTest;

std::string fd_path(long fd) {
  char text[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t n = readlink(link.c_str(), text, sizeof text);
  return n < 0 ? "" : std::string(text, static_cast<size_t>(n));
}

TEST_F(Open, ReadingLeavesTheLowerFileWhereItIs) {
  write_file(lower("/f"), "lower");
  start();
  EXPECT_EQ(read_virtual("/f"), "lower");
  EXPECT_FALSE(exists(upper("/f")));
}

TEST_F(Open, WritingCopiesUpWithData) {
  write_file(lower("/f"), "lower");
  start();
  ASSERT_EQ(write_new("/f", "UP", O_WRONLY), 0);
  EXPECT_EQ(read_file(upper("/f")), "UPwer");
  EXPECT_EQ(read_file(lower("/f")), "lower");
  EXPECT_EQ(read_virtual("/f"), "UPwer");
}

TEST_F(Open, AppendingCopiesUp) {
  write_file(lower("/f"), "lower");
  start();
  ASSERT_EQ(write_new("/f", "+", O_WRONLY | O_APPEND), 0);
  EXPECT_EQ(read_virtual("/f"), "lower+");
}

TEST_F(Open, TruncatingBringsNoData) {
  write_file(lower("/f"), "lower");
  start();
  ASSERT_EQ(write_new("/f", "n", O_WRONLY | O_TRUNC), 0);
  EXPECT_EQ(read_virtual("/f"), "n");
  EXPECT_EQ(read_file(lower("/f")), "lower");
}

TEST_F(Open, ReadOnlyWithTruncTruncatesTheCopy) {
  write_file(lower("/f"), "lower");
  start();
  ASSERT_EQ(try_open("/f", O_RDONLY | O_TRUNC), 0);
  EXPECT_EQ(read_file(upper("/f")), "");
  EXPECT_EQ(read_file(lower("/f")), "lower");
}

TEST_F(Open, MetacopyIsReadFromTheLowerAndCompletedForWriting) {
  write_file(lower("/f"), std::string(9000, 'l'));
  start();
  {
    Op op(caller(), session());
    const std::string virt = at("/f");
    ASSERT_TRUE(copy_up(op, *node_at(op, Str(virt.data(), virt.size())).value(), Data::kNone).ok());
  }
  const long fd = open_fd("/f", O_RDONLY);
  EXPECT_EQ(fd_path(fd), lower("/f"));
  close(static_cast<int>(fd));
  ASSERT_EQ(write_new("/f", "X", O_WRONLY), 0);
  EXPECT_EQ(read_file(upper("/f")), "X" + std::string(8999, 'l'));
  EXPECT_EQ(xattr(upper("/f"), name(Priv::kMetacopy)), "<none>");
}

TEST_F(Open, CreatesInTheUpperAlone) {
  make_lower_dir("/d");
  start();
  ASSERT_EQ(write_new("/d/new", "text"), 0);
  EXPECT_EQ(read_file(upper("/d/new")), "text");
  EXPECT_FALSE(exists(lower("/d/new")));
  EXPECT_EQ(real(upper("/d/new")).st_mode & 07777, 0644u & ~022u);
}

TEST_F(Open, CreatesOverAWhiteout) {
  write_file(lower("/f"), "lower");
  start();
  ASSERT_EQ(remove("/f"), 0);
  ASSERT_TRUE(is_whiteout(upper("/f")));
  const long fd = open_fd("/f", O_RDWR | O_CREAT | O_EXCL, 0640);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(fd_path(fd), upper("/f")) << "the descriptor is the one that was created";
  EXPECT_EQ(fcntl(static_cast<int>(fd), F_GETFD), 0);
  ASSERT_EQ(write(static_cast<int>(fd), "new", 3), 3);
  close(static_cast<int>(fd));
  EXPECT_EQ(read_virtual("/f"), "new");
  EXPECT_EQ(xattr(upper("/f"), name(Priv::kOrigin)), "<none>");
}

TEST_F(Open, CloseOnExecIsAsAsked) {
  start();
  const long a = open_fd("/a", O_WRONLY | O_CREAT, 0644),
             b = open_fd("/b", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  EXPECT_EQ(fcntl(static_cast<int>(a), F_GETFD), 0);
  EXPECT_EQ(fcntl(static_cast<int>(b), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(static_cast<int>(a), F_GETFL) & ~0100000, O_WRONLY) << "no flag of ours";
  close(static_cast<int>(a));
  close(static_cast<int>(b));
}

TEST_F(Open, ModeWithoutOwnerRightsIsShownAsAsked) {
  start();
  const long fd = open_fd("/f", O_WRONLY | O_CREAT | O_EXCL, 0444);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(write(static_cast<int>(fd), "x", 1), 1) << "the creator may write whatever the mode";
  close(static_cast<int>(fd));
  EXPECT_EQ(look("/f").stx_mode & 07777, 0444u);
}

TEST_F(Open, DanglingSymlinkIsCreatedAtItsTarget) {
  ASSERT_EQ(symlink("d/target", lower("/link").c_str()), 0);
  make_lower_dir("/d");
  start();
  ASSERT_EQ(write_new("/link", "text", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(read_file(upper("/d/target")), "text");
  EXPECT_FALSE(exists(upper("/link")));
}

TEST_F(Open, TmpfileIsMadeInTheUpper) {
  make_lower_dir("/d");
  start();
  const long fd = open_fd("/d", O_TMPFILE | O_RDWR, 0600);
  if (fd == -EOPNOTSUPP) GTEST_SKIP() << "no O_TMPFILE here";
  ASSERT_GE(fd, 0);
  EXPECT_TRUE(fd_path(fd).starts_with(upper("/d/")));
  close(static_cast<int>(fd));
  EXPECT_EQ(try_open("/d", O_TMPFILE | O_RDONLY, 0600), -EINVAL);
  EXPECT_EQ(try_open("/none", O_TMPFILE | O_RDWR, 0600), -ENOENT);
}

TEST_F(Open, DirectoryAndItsErrors) {
  make_lower_dir("/d");
  write_file(lower("/f"), "x");
  ASSERT_EQ(symlink("f", lower("/link").c_str()), 0);
  ASSERT_EQ(symlink("none", lower("/dangling").c_str()), 0);
  ASSERT_EQ(symlink("loop", lower("/loop").c_str()), 0);
  start();
  struct {
    const char* path;
    int flags;
    long result;
  } const cases[] = {
      {"/d", O_RDONLY | O_DIRECTORY, 0},
      {"/d/", O_RDONLY, 0},
      {"/f", O_RDONLY | O_DIRECTORY, -ENOTDIR},
      {"/f/", O_RDONLY, -ENOTDIR},
      {"/f/x", O_RDONLY | O_CREAT, -ENOTDIR},
      {"/d", O_WRONLY, -EISDIR},
      {"/d", O_RDONLY | O_TRUNC, -EISDIR},
      {"/d", O_RDONLY | O_CREAT, -EISDIR},
      {"/d", O_RDONLY | O_CREAT | O_EXCL, -EEXIST},
      {"/d/", O_RDONLY | O_CREAT, -EISDIR},
      {"/new/", O_RDWR | O_CREAT, -EISDIR},
      {"/new", O_RDONLY, -ENOENT},
      {"/none/new", O_RDWR | O_CREAT, -ENOENT},
      {"/f", O_RDWR | O_CREAT | O_EXCL, -EEXIST},
      {"/link", O_RDWR | O_CREAT | O_EXCL, -EEXIST},
      {"/dangling", O_RDWR | O_CREAT | O_EXCL, -EEXIST},
      {"/dangling", O_RDONLY, -ENOENT},
      {"/link", O_RDONLY | O_NOFOLLOW, -ELOOP},
      {"/link", O_RDONLY | O_CREAT | O_NOFOLLOW, -ELOOP},
      {"/link", O_PATH | O_NOFOLLOW, 0},
      {"/link", O_PATH | O_NOFOLLOW | O_DIRECTORY, -ENOTDIR},
      {"/loop", O_RDONLY, -ELOOP},
      {"/new", O_RDONLY | O_CREAT | O_DIRECTORY, -EINVAL},
      {"/", O_RDONLY | O_CREAT, -EISDIR},
      {"/.", O_RDONLY | O_CREAT | O_EXCL, -EEXIST},
      {"/d/..", O_RDONLY | O_CREAT, -EISDIR},
  };
  for (const auto& c : cases)
    EXPECT_EQ(try_open(c.path, c.flags, 0644), c.result) << c.path << " " << std::oct << c.flags;
  EXPECT_FALSE(exists(upper("/new")));
}

TEST_F(Open, EmptyAndBadPath) {
  start();
  EXPECT_EQ(run<op_openat>(AT_FDCWD, UserPath(""), O_RDONLY, 0u), -ENOENT);
  EXPECT_EQ(run<op_openat>(AT_FDCWD, UserPath(), O_RDONLY, 0u), -EFAULT);
}

TEST_F(Open, PermissionsAreThoseShown) {
  write_file(lower("/f"), "x", 0444);
  make_lower_dir("/d");
  ASSERT_EQ(chmod(lower("/d").c_str(), 0555), 0);
  start();
  if (geteuid() == 0) GTEST_SKIP() << "root may";
  EXPECT_EQ(try_open("/f", O_WRONLY), -EACCES);
  EXPECT_EQ(try_open("/d/new", O_WRONLY | O_CREAT, 0644), -EACCES);
  EXPECT_FALSE(exists(upper("/d")));
  ASSERT_EQ(chmod(lower("/d").c_str(), 0755), 0);
}

TEST_F(Open, FifoIsOneForAll) {
  ASSERT_EQ(mkfifo(lower("/fifo").c_str(), 0600), 0);
  start();
  const long reader = open_fd("/fifo", O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  const long writer = open_fd("/fifo", O_WRONLY | O_NONBLOCK);
  ASSERT_GE(writer, 0);
  EXPECT_EQ(write(static_cast<int>(writer), "x", 1), 1);
  EXPECT_EQ(fd_path(reader), upper("/fifo"));
  close(static_cast<int>(reader));
  close(static_cast<int>(writer));
}

TEST_F(Open, SetGroupIdDirectoryHandsItsRecordedGroupDown) {
  make_lower_dir("/d");
  write_file(lower("/d/gone"), "x");
  ASSERT_EQ(chmod(lower("/d").c_str(), 02775), 0);
  if (geteuid() == 0) {
    ASSERT_EQ(chown(lower("/d").c_str(), 0, 1234), 0);
  }
  ASSERT_EQ(chmod(lower("/d").c_str(), 02775), 0);
  const gid_t group = real(lower("/d")).st_gid;
  start();
  ASSERT_EQ(write_new("/d/f", "x"), 0);
  ASSERT_EQ(make_dir("/d/sub"), 0);
  ASSERT_EQ(remove("/d/gone"), 0);
  ASSERT_EQ(write_new("/d/gone", "x"), 0);
  EXPECT_EQ(look("/d/f").stx_gid, group);
  EXPECT_EQ(look("/d/gone").stx_gid, group);
  EXPECT_EQ(look("/d/sub").stx_gid, group);
  EXPECT_TRUE(look("/d/sub").stx_mode & S_ISGID);
}

TEST_F(Open, DefaultAclIsInheritedOverAWhiteout) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "x");
  write_file(lower("/d/g"), "x");
  if (system(("setfacl -d -m u:12345:rwx " + lower("/d")).c_str()) != 0)
    GTEST_SKIP() << "no ACLs here";
  start();
  ASSERT_EQ(write_new("/d/new", "x"), 0);
  ASSERT_EQ(remove("/d/f"), 0);
  ASSERT_EQ(remove("/d/g"), 0);
  ASSERT_EQ(write_new("/d/f", "x"), 0);
  ASSERT_EQ(make_dir("/d/g"), 0);
  EXPECT_EQ(xattr(upper("/d/f"), "system.posix_acl_access"),
            xattr(upper("/d/new"), "system.posix_acl_access"));
  EXPECT_NE(xattr(upper("/d/f"), "system.posix_acl_access"), "<none>");
  EXPECT_EQ(real(upper("/d/f")).st_mode, real(upper("/d/new")).st_mode);
  EXPECT_EQ(xattr(upper("/d/g"), "system.posix_acl_default"),
            xattr(lower("/d"), "system.posix_acl_default"));
}

TEST_F(Open, UnlinkedLowerFileIsNeverOpenedForWritingThroughItsDescriptor) {
  write_file(lower("/f"), "lower");
  write_file(lower("/g"), "other");
  start();
  const long fd = open_fd("/f", O_RDONLY), fd2 = open_fd("/g", O_RDONLY);
  const std::string magic = "/proc/self/fd/" + std::to_string(fd),
                    magic2 = "/proc/self/fd/" + std::to_string(fd2);
  ASSERT_EQ(remove("/f"), 0);
  ASSERT_EQ(write_new("/new", "new"), 0);
  ASSERT_EQ(move("/new", "/g"), 0);
  const auto is_lowers = [&](int number) {
    struct stat st;
    if (fstat(number, &st) != 0) return true;
    const auto same = [&](const struct stat& other) {
      return st.st_dev == other.st_dev && st.st_ino == other.st_ino;
    };
    return same(real(lower("/f"))) || same(real(lower("/g")));
  };
  for (const std::string& m : {magic, magic2}) {
    EXPECT_EQ(run<op_openat>(AT_FDCWD, UserPath(m.c_str()), O_RDONLY, static_cast<mode_t>(0)),
              kNative)
        << "reading";
    for (const int flags : {O_RDWR, O_RDONLY | O_TRUNC}) {
      const long writer =
          run<op_openat>(AT_FDCWD, UserPath(m.c_str()), flags, static_cast<mode_t>(0));
      if (writer == kNative) {
        EXPECT_FALSE(is_lowers(std::stoi(m.substr(m.rfind('/') + 1)))) << "it has followed";
        continue;
      }
      ASSERT_GE(writer, 0);
      EXPECT_FALSE(is_lowers(static_cast<int>(writer)));
      close(static_cast<int>(writer));
    }
    EXPECT_EQ(run<op_fchmodat2>(AT_FDCWD, UserPath(m.c_str()), static_cast<mode_t>(0600), 0), 0);
  }
  EXPECT_EQ(read_file(lower("/f")), "lower");
  EXPECT_EQ(read_file(lower("/g")), "other");
  EXPECT_EQ(real(lower("/f")).st_mode & 07777, 0644u);
  close(static_cast<int>(fd));
  close(static_cast<int>(fd2));
}

// Of two names of one lower file: each is opened for reading, and twice again for writing.
class OpenedAgain : public Open, public ::testing::WithParamInterface<bool> {};

TEST_P(OpenedAgain, ForWritingCopiesUp) {
  write_file(lower("/f"), "lower");
  ASSERT_EQ(link(lower("/f").c_str(), lower("/second").c_str()), 0);
  Options options;
  options.index = GetParam();
  start(options);
  std::string written = "lower";
  for (const char* rest : {"/f", "/second"}) {
    const long fd = open_fd(rest, O_RDONLY);
    const std::string magic = "/proc/self/fd/" + std::to_string(fd);
    for (int i = 0; i < 2; i++) {
      const long again = run<op_openat>(AT_FDCWD, UserPath(magic.c_str()), O_WRONLY | O_APPEND,
                                        static_cast<mode_t>(0));
      ASSERT_GE(again, 0);
      EXPECT_EQ(write(static_cast<int>(again), "+", 1), 1);
      close(static_cast<int>(again));
    }
    written = (GetParam() ? written : "lower") + "++";
    EXPECT_EQ(read_virtual(rest), written);
    close(static_cast<int>(fd));
  }
  EXPECT_EQ(read_file(lower("/f")), "lower");
}
INSTANTIATE_TEST_SUITE_P(Index, OpenedAgain, ::testing::Bool());

TEST_F(Open, Openat2ChecksItsStructure) {
  write_file(lower("/f"), "x");
  ASSERT_EQ(symlink("f", lower("/link").c_str()), 0);
  start();
  struct {
    open_how how = {};
    uint64_t more = 0;
  } arg;
  auto call = [&](const char* p, size_t size) {
    const long fd = run<op_openat2>(AT_FDCWD, path(p), UserBuf(&arg), size);
    if (fd >= 0) close(static_cast<int>(fd));
    return fd < 0 ? fd : 0;
  };
  EXPECT_EQ(call("/f", sizeof arg.how), 0);
  EXPECT_EQ(call("/f", sizeof arg), 0);
  EXPECT_EQ(call("/f", 8), -EINVAL);
  arg.more = 1;
  EXPECT_EQ(call("/f", sizeof arg), -E2BIG);
  EXPECT_EQ(call("/f", 8192), -E2BIG);
  arg.how.resolve = 1u << 20;
  EXPECT_EQ(call("/f", sizeof arg.how), -EINVAL);
  arg.how.resolve = RESOLVE_NO_SYMLINKS;
  EXPECT_EQ(call("/f", sizeof arg.how), 0);
  EXPECT_EQ(call("/link", sizeof arg.how), -ELOOP);
  arg.how.resolve = RESOLVE_BENEATH;
  EXPECT_EQ(call("/f", sizeof arg.how), -EXDEV) << "absolute";
  arg.how.resolve = 0;
  arg.how.mode = 0644;
  EXPECT_EQ(call("/f", sizeof arg.how), -EINVAL) << "a mode creates nothing";
  arg.how.flags = O_CREAT | O_WRONLY;
  EXPECT_EQ(call("/new", sizeof arg.how), 0);
  arg.how.flags = uint64_t{1} << 40;
  EXPECT_EQ(call("/f", sizeof arg.how), -EINVAL);
}

}  // namespace
}  // namespace ovl::testing
