// rename(2) of directories.
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

using RenameDirectory = NamesTest;

TEST_F(RenameDirectory, LowerDirectoryKeepsItsContentAndInode) {
  make_lower_dir("/d/sub");
  write_file(lower("/d/sub/f"), "content");
  start();
  const uint64_t inode = look("/d").stx_ino, below = look("/d/sub/f").stx_ino;
  ASSERT_EQ(move("/d", "/e"), 0);
  EXPECT_FALSE(there("/d"));
  EXPECT_TRUE(is_whiteout(upper("/d")));
  EXPECT_EQ(xattr(upper("/e"), name(Priv::kRedirect)), "d");
  EXPECT_TRUE(exists(work("/work/incompat/ovlrun")))
      << "the kernel follows no redirect under user.";
  EXPECT_EQ(look("/e").stx_ino, inode);
  EXPECT_EQ(look("/e/sub/f").stx_ino, below);
  EXPECT_EQ(read_virtual("/e/sub/f"), "content");
  ASSERT_EQ(write_new("/e/sub/f", "changed"), 0);
  EXPECT_EQ(read_virtual("/e/sub/f"), "changed");
  EXPECT_EQ(read_file(lower("/d/sub/f")), "content");
}

TEST_F(RenameDirectory, AcrossDirectoriesTheRedirectIsAbsolute) {
  make_lower_dir("/a/d");
  make_lower_dir("/b");
  write_file(lower("/a/d/f"), "content");
  start();
  ASSERT_EQ(move("/a/d", "/b/e"), 0);
  EXPECT_EQ(xattr(upper("/b/e"), name(Priv::kRedirect)), "/a/d");
  EXPECT_EQ(read_virtual("/b/e/f"), "content");
}

TEST_F(RenameDirectory, ChainsOfRedirects) {
  make_lower_dir("/a/d/x");
  make_lower_dir("/b");
  write_file(lower("/a/d/x/f"), "content");
  start();
  ASSERT_EQ(move("/a/d", "/a/e"), 0);
  ASSERT_EQ(move("/a/e", "/a/g"), 0);
  EXPECT_EQ(xattr(upper("/a/g"), name(Priv::kRedirect)), "d") << "it stays as long as it is true";
  ASSERT_EQ(move("/a", "/c"), 0);
  EXPECT_EQ(read_virtual("/c/g/x/f"), "content");
  ASSERT_EQ(move("/c/g/x", "/b/x"), 0);
  EXPECT_EQ(xattr(upper("/b/x"), name(Priv::kRedirect)), "/a/d/x")
      << "ancestors' redirects are substituted";
  EXPECT_EQ(read_virtual("/b/x/f"), "content");
  ASSERT_EQ(move("/c/g", "/b/g"), 0);
  EXPECT_EQ(xattr(upper("/b/g"), name(Priv::kRedirect)), "/a/d");
  EXPECT_FALSE(there("/b/g/x"));
}

TEST_F(RenameDirectory, BackToItsOwnName) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "content");
  start();
  ASSERT_EQ(move("/d", "/e"), 0);
  ASSERT_EQ(move("/e", "/d"), 0);
  EXPECT_EQ(read_virtual("/d/f"), "content");
  EXPECT_FALSE(exists(upper("/e")));
}

TEST_F(RenameDirectory, PureDirectoryOverAWhiteoutIsOpaque) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "old");
  start();
  ASSERT_EQ(remove("/d/f"), 0);
  ASSERT_EQ(remove_dir("/d"), 0);
  ASSERT_EQ(make_dir("/new"), 0);
  ASSERT_EQ(move("/new", "/d"), 0);
  EXPECT_EQ(xattr(upper("/d"), name(Priv::kOpaque)), "y");
  EXPECT_FALSE(there("/d/f"));
  EXPECT_FALSE(exists(upper("/new"))) << "no stale whiteout";
}

TEST_F(RenameDirectory, OverEmptyDirectoriesOfAllKinds) {
  make_lower_dir("/lower");
  make_lower_dir("/merged");
  write_file(lower("/merged/f"), "old");
  start();
  ASSERT_EQ(remove("/merged/f"), 0);
  ASSERT_EQ(make_dir("/pure"), 0);
  for (const char* target : {"/lower", "/merged", "/pure"}) {
    ASSERT_EQ(make_dir("/new"), 0);
    ASSERT_EQ(write_new("/new/n", "new"), 0);
    ASSERT_EQ(move("/new", target), 0) << target;
    EXPECT_EQ(read_virtual(std::string(target) + "/n"), "new");
    EXPECT_FALSE(there(std::string(target) + "/f"));
    EXPECT_FALSE(exists(upper("/new")));
  }
}

TEST_F(RenameDirectory, LowerDirectoryOverAnEmptyLowerOne) {
  make_lower_dir("/a");
  make_lower_dir("/b");
  write_file(lower("/a/f"), "a");
  start();
  ASSERT_EQ(move("/a", "/b"), 0);
  EXPECT_EQ(read_virtual("/b/f"), "a");
  EXPECT_TRUE(is_whiteout(upper("/a")));
  ASSERT_EQ(make_dir("/a"), 0);
  EXPECT_FALSE(there("/a/f"));
}

TEST_F(RenameDirectory, ExchangeOfDirectories) {
  make_lower_dir("/a");
  make_lower_dir("/x/b");
  write_file(lower("/a/f"), "a");
  write_file(lower("/x/b/f"), "b");
  start();
  ASSERT_EQ(move("/a", "/x/b", RENAME_EXCHANGE), 0);
  EXPECT_EQ(read_virtual("/a/f"), "b");
  EXPECT_EQ(read_virtual("/x/b/f"), "a");
}

TEST_F(RenameDirectory, ExchangeOfFileAndDirectory) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "in d");
  write_file(lower("/file"), "file");
  start();
  ASSERT_EQ(move("/d", "/file", RENAME_EXCHANGE), 0);
  EXPECT_EQ(read_virtual("/file/f"), "in d");
  EXPECT_EQ(read_virtual("/d"), "file");
}

TEST_F(RenameDirectory, ExchangeOfAPureDirectoryCoversWhatIsBelow) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "old");
  start();
  ASSERT_EQ(make_dir("/pure"), 0);
  ASSERT_EQ(move("/pure", "/d", RENAME_EXCHANGE), 0);
  EXPECT_FALSE(there("/d/f"));
  EXPECT_EQ(read_virtual("/pure/f"), "old");
}

TEST_F(RenameDirectory, WithoutRedirectsIsEXDEV) {
  make_lower_dir("/d");
  Options options;
  options.redirect_dir = RedirectDir::kNoFollow;
  start(options);
  EXPECT_EQ(move("/d", "/e"), -EXDEV);
  ASSERT_EQ(make_dir("/pure"), 0);
  EXPECT_EQ(move("/pure", "/pure2"), 0);
  EXPECT_FALSE(exists(upper("/d")));
}

TEST_F(RenameDirectory, ThatHoldsAMountPointIsBusy) {
  make_lower_dir("/d/excluded");
  Options options;
  options.excludes = {"/d/excluded"};
  start(options);
  EXPECT_EQ(move("/d", "/e"), -EBUSY);
  EXPECT_EQ(move("/d/excluded", "/e"), -EBUSY);
}

TEST_F(RenameDirectory, TooLongARedirectIsEXDEV) {
  const std::string part(200, 'p');
  make_lower_dir("/" + part + "/" + part);
  make_lower_dir("/b");
  start();
  EXPECT_EQ(move("/" + part + "/" + part, "/b/d"), -EXDEV);
  EXPECT_TRUE(there("/" + part + "/" + part));
}

TEST_F(RenameDirectory, TimesOfTheDirectoryStay) {
  make_lower_dir("/d");
  const timespec times[2] = {{1000, 0}, {2000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, lower("/d").c_str(), times, 0), 0);
  start();
  ASSERT_EQ(move("/d", "/e"), 0);
  EXPECT_EQ(look("/e").stx_mtime.tv_sec, 2000);
}

TEST_F(RenameDirectory, SeveralLowersMoveTogether) {
  std::filesystem::create_directories(lower("/d", 0));
  std::filesystem::create_directories(lower("/d", 1));
  write_file(lower("/d/top", 0), "top");
  write_file(lower("/d/bottom", 1), "bottom");
  Options options;
  options.lowers = 2;
  options.in_place = false;
  start(options);
  ASSERT_EQ(move("/d", "/e"), 0);
  EXPECT_EQ(read_virtual("/e/top"), "top");
  EXPECT_EQ(read_virtual("/e/bottom"), "bottom");
}

}  // namespace
}  // namespace ovl::testing
