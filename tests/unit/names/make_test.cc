// mkdir, mknod, symlink.
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

using Make = NamesTest;

TEST_F(Make, DirectoryInALowerDirectory) {
  make_lower_dir("/a/b");
  start();
  ASSERT_EQ(make_dir("/a/b/new", 0750), 0);
  EXPECT_EQ(real(upper("/a/b/new")).st_mode & 07777, 0750u);
  EXPECT_EQ(xattr(upper("/a/b/new"), name(Priv::kOpaque)), "<none>") << "nothing is below";
  EXPECT_FALSE(exists(lower("/a/b/new")));
}

TEST_F(Make, DirectoryOverAWhiteoutIsOpaque) {
  make_lower_dir("/d");
  write_file(lower("/d/old"), "x");
  start();
  ASSERT_EQ(remove("/d/old"), 0);
  ASSERT_EQ(remove_dir("/d"), 0);
  ASSERT_TRUE(is_whiteout(upper("/d")));
  ASSERT_EQ(make_dir("/d"), 0);
  EXPECT_EQ(xattr(upper("/d"), name(Priv::kOpaque)), "y");
  EXPECT_FALSE(there("/d/old"));
  EXPECT_EQ(real(upper("/d")).st_mode & 0777, 0755u);
}

TEST_F(Make, DirectoryWithoutOwnerRightsOverAWhiteoutShowsItsMode) {
  make_lower_dir("/d");
  start();
  ASSERT_EQ(remove_dir("/d"), 0);
  ASSERT_EQ(make_dir("/d", 0055), 0);
  EXPECT_EQ(look("/d").stx_mode & 07777, 0055u & ~022u);
  EXPECT_EQ(xattr(upper("/d"), name(Priv::kOpaque)), "y");
}

TEST_F(Make, ClosedDirectoryIsClosedForProgramsOnly) {
  start();
  ASSERT_EQ(make_dir("/d", 0500), 0);
  EXPECT_EQ(look("/d").stx_mode & 07777, 0500u);
  if (geteuid() != 0) {
    EXPECT_EQ(make_dir("/d/sub"), -EACCES);
    EXPECT_EQ(real(upper("/d")).st_mode & 0700, 0700u);
  }
  ASSERT_EQ(make_dir("/e", 0), 0);
  EXPECT_EQ(remove_dir("/e"), 0);
}

TEST_F(Make, RemovingAndMakingAgainLeavesNoWhiteoutBehind) {
  make_lower_dir("/d");
  start();
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(remove_dir("/d"), 0);
    ASSERT_EQ(make_dir("/d"), 0);
    ASSERT_EQ(write_new("/d/f", "x"), 0);
    ASSERT_EQ(remove("/d/f"), 0);
    EXPECT_FALSE(exists(upper("/d/f"))) << "never a whiteout in an opaque directory";
  }
}

TEST_F(Make, Errors) {
  make_lower_dir("/d");
  write_file(lower("/f"), "x");
  ASSERT_EQ(symlink("none", lower("/dangling").c_str()), 0);
  start();
  EXPECT_EQ(make_dir("/d"), -EEXIST);
  EXPECT_EQ(make_dir("/d/"), -EEXIST);
  EXPECT_EQ(make_dir("/f"), -EEXIST);
  EXPECT_EQ(make_dir("/f/"), -EEXIST);
  EXPECT_EQ(make_dir("/dangling"), -EEXIST);
  EXPECT_EQ(make_dir("/dangling/"), -EEXIST);
  EXPECT_EQ(make_dir("/"), -EEXIST);
  EXPECT_EQ(make_dir("/d/."), -EEXIST);
  EXPECT_EQ(make_dir("/d/.."), -EEXIST);
  EXPECT_EQ(make_dir("/none/d"), -ENOENT);
  EXPECT_EQ(make_dir("/f/d"), -ENOTDIR);
  EXPECT_EQ(make_dir("/new/"), 0);
  EXPECT_EQ(make_node("/new2/", S_IFREG | 0644), -ENOENT);
  EXPECT_EQ(make_symlink("x", "/new2/"), -ENOENT);
  EXPECT_EQ(make_symlink("", "/new2"), -ENOENT);
  EXPECT_EQ(make_symlink("x", "/f"), -EEXIST);
  EXPECT_EQ(make_node("/new2", S_IFDIR | 0755), -EPERM);
  EXPECT_EQ(make_node("/new2", S_IFLNK | 0755), -EINVAL);
  EXPECT_EQ(make_node("/new2", S_IFCHR | 0644, 0), -EPERM) << "a whiteout is not for programs";
  EXPECT_EQ(make_dir("/" + std::string(256, 'n')), -ENAMETOOLONG);
  EXPECT_FALSE(exists(upper("/new2")));
}

TEST_F(Make, NodesOfAllKinds) {
  write_file(lower("/was"), "x");
  start();
  ASSERT_EQ(make_node("/file", 0640), 0);
  EXPECT_EQ(real(upper("/file")).st_mode, S_IFREG | 0640u);
  ASSERT_EQ(make_node("/fifo", S_IFIFO | 0600), 0);
  ASSERT_EQ(make_node("/socket", S_IFSOCK | 0600), 0);
  ASSERT_EQ(remove("/was"), 0);
  ASSERT_EQ(make_node("/was", S_IFIFO | 0600), 0);
  EXPECT_TRUE(S_ISFIFO(look("/was").stx_mode));
  if (geteuid() != 0) {
    EXPECT_EQ(make_node("/device", S_IFCHR | 0644, makedev(1, 3)), -EPERM);
  }
}

TEST_F(Make, SymlinkKeepsItsText) {
  write_file(lower("/was"), "x");
  start();
  ASSERT_EQ(make_symlink("../some//where/", "/link"), 0);
  EXPECT_EQ(std::filesystem::read_symlink(upper("/link")), "../some//where/");
  ASSERT_EQ(remove("/was"), 0);
  ASSERT_EQ(make_symlink("link", "/was"), 0);
  EXPECT_TRUE(S_ISLNK(look("/was").stx_mode));
}

TEST_F(Make, ParentTimesChangeAsNatively) {
  make_lower_dir("/d");
  const timespec times[2] = {{1000, 0}, {2000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, lower("/d").c_str(), times, 0), 0);
  start();
  ASSERT_EQ(make_dir("/d/new"), 0);
  EXPECT_GT(look("/d").stx_mtime.tv_sec, 2000);
}

TEST_F(Make, WithoutAnUpperEverythingIsReadOnly) {
  make_lower_dir("/d");
  write_file(lower("/f"), "x");
  ASSERT_EQ(mkfifo(lower("/fifo").c_str(), 0644), 0);
  Options options;
  options.read_only = true;
  start(options);
  EXPECT_EQ(read_virtual("/f"), "x");
  EXPECT_EQ(try_open("/f", O_WRONLY), -EROFS);
  EXPECT_EQ(try_open("/f", O_RDONLY | O_TRUNC), -EROFS);
  EXPECT_EQ(try_open("/f", O_RDONLY | O_CREAT, 0644), 0);
  EXPECT_EQ(try_open("/new", O_RDONLY | O_CREAT, 0644), -EROFS);
  EXPECT_EQ(try_open("/d", O_TMPFILE | O_RDWR, 0644), -EROFS);
  EXPECT_EQ(try_open("/fifo", O_RDONLY | O_NONBLOCK), 0);
  EXPECT_EQ(make_dir("/d"), -EEXIST);
  EXPECT_EQ(make_dir("/new"), -EROFS);
  EXPECT_EQ(make_symlink("x", "/new"), -EROFS);
  EXPECT_EQ(make_node("/new", S_IFIFO | 0600), -EROFS);
  EXPECT_EQ(make_link("/f", "/new"), -EROFS);
  EXPECT_EQ(remove("/f"), -EROFS);
  EXPECT_EQ(remove_dir("/d"), -EROFS);
  EXPECT_EQ(move("/f", "/new"), -EROFS);
  EXPECT_EQ(move("/d", "/new"), -EROFS);
}

TEST_F(Make, ExcludedTreeIsNotOurs) {
  // Names in an excluded tree are the kernel's, its own name is taken.
  make_lower_dir("/excluded");
  Options options;
  options.excludes = {"/excluded"};
  start(options);
  EXPECT_EQ(make_dir("/excluded"), -EEXIST);
  const long made = make_dir("/excluded/new");
  EXPECT_TRUE(made == kNative || made == 0);
  EXPECT_FALSE(exists(upper("/excluded")));
}

}  // namespace
}  // namespace ovl::testing
