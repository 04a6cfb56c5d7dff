// link(2).
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

using Link = NamesTest;

TEST_F(Link, LowerFileGetsASecondName) {
  write_file(lower("/f"), "content");
  make_lower_dir("/d");
  start();
  const uint64_t inode = look("/f").stx_ino;
  ASSERT_EQ(make_link("/f", "/d/g"), 0);
  EXPECT_EQ(look("/f").stx_nlink, 2u);
  EXPECT_EQ(look("/d/g").stx_nlink, 2u);
  EXPECT_EQ(look("/f").stx_ino, look("/d/g").stx_ino);
  const bool has_origin = xattr(upper("/f"), name(Priv::kOrigin)) != "<none>";
  EXPECT_TRUE(!has_origin || look("/f").stx_ino == inode);
  ASSERT_EQ(write_new("/d/g", "CON", O_WRONLY), 0);
  EXPECT_EQ(read_virtual("/f"), "CONtent");
  EXPECT_EQ(read_file(lower("/f")), "content");
}

TEST_F(Link, OverAWhiteout) {
  write_file(lower("/f"), "f");
  write_file(lower("/g"), "g");
  start();
  ASSERT_EQ(remove("/g"), 0);
  ASSERT_EQ(make_link("/f", "/g"), 0);
  EXPECT_EQ(read_virtual("/g"), "f");
  EXPECT_EQ(look("/g").stx_nlink, 2u);
}

TEST_F(Link, SymlinkItselfOrItsTarget) {
  write_file(lower("/f"), "f");
  ASSERT_EQ(symlink("f", lower("/s").c_str()), 0);
  start();
  ASSERT_EQ(make_link("/s", "/plain"), 0);
  EXPECT_TRUE(S_ISLNK(look("/plain").stx_mode));
  ASSERT_EQ(make_link("/s", "/followed", AT_SYMLINK_FOLLOW), 0);
  EXPECT_TRUE(S_ISREG(look("/followed").stx_mode));
}

TEST_F(Link, UnnamedFileGetsAName) {
  write_file(lower("/was"), "old");
  start();
  const long fd = open_fd("/", O_TMPFILE | O_RDWR, 0640);
  if (fd == -EOPNOTSUPP) GTEST_SKIP() << "no O_TMPFILE here";
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(static_cast<int>(fd), "text", 4), 4);
  const std::string magic = "/proc/self/fd/" + std::to_string(fd);
  EXPECT_EQ(run<op_linkat>(AT_FDCWD, UserPath(magic.c_str()), AT_FDCWD, path("/named"),
                           AT_SYMLINK_FOLLOW),
            0);
  EXPECT_EQ(read_virtual("/named"), "text");
  ASSERT_EQ(remove("/was"), 0);
  EXPECT_EQ(make_link("/named", "/was"), 0);
  close(static_cast<int>(fd));
  const long second = open_fd("/", O_TMPFILE | O_RDWR, 0640);
  EXPECT_EQ(run<op_linkat>(static_cast<int>(second), UserPath(""), AT_FDCWD, path("/second"),
                           AT_EMPTY_PATH),
            0);
  EXPECT_TRUE(there("/second"));
  close(static_cast<int>(second));
}

TEST_F(Link, Errors) {
  write_file(lower("/f"), "f");
  write_file(lower("/g"), "g");
  make_lower_dir("/d");
  start();
  EXPECT_EQ(make_link("/f", "/g"), -EEXIST);
  EXPECT_EQ(make_link("/f", "/d"), -EEXIST);
  EXPECT_EQ(make_link("/f", "/d/"), -EEXIST);
  EXPECT_EQ(make_link("/d", "/new"), -EPERM);
  EXPECT_EQ(make_link("/none", "/new"), -ENOENT);
  EXPECT_EQ(make_link("/f", "/new/"), -ENOENT);
  EXPECT_EQ(make_link("/f/", "/new"), -ENOTDIR);
  EXPECT_EQ(make_link("/f", "/none/new"), -ENOENT);
  EXPECT_EQ(make_link("/f", "/new", 0x8000), -EINVAL);
  EXPECT_EQ(run<op_linkat>(AT_FDCWD, UserPath("/proc/self/status"), AT_FDCWD, path("/new"), 0),
            -EXDEV);
  EXPECT_EQ(run<op_linkat>(AT_FDCWD, UserPath("/nonexistent/x"), AT_FDCWD, path("/new"), 0),
            -ENOENT);
  const std::string out = root() + "/outside";
  EXPECT_EQ(run<op_linkat>(AT_FDCWD, path("/f"), AT_FDCWD, UserPath(out.c_str()), 0), -EXDEV);
  EXPECT_FALSE(exists(upper("/f"))) << "nothing was copied up for an error";
}

}  // namespace
}  // namespace ovl::testing
