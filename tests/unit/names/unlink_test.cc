// unlink(2), rmdir(2).
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

using Unlink = NamesTest;

TEST_F(Unlink, LowerFileIsCovered) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "x");
  start();
  ASSERT_EQ(remove("/d/f"), 0);
  EXPECT_TRUE(is_whiteout(upper("/d/f")));
  EXPECT_TRUE(exists(lower("/d/f")));
  EXPECT_FALSE(there("/d/f"));
  EXPECT_EQ(remove("/d/f"), -ENOENT);
}

TEST_F(Unlink, PureUpperFileGoesWithoutATrace) {
  start();
  ASSERT_EQ(write_new("/f", "x"), 0);
  ASSERT_EQ(remove("/f"), 0);
  EXPECT_FALSE(exists(upper("/f")));
}

TEST_F(Unlink, CopyIsReplacedByAWhiteout) {
  write_file(lower("/f"), "x");
  start();
  ASSERT_EQ(write_new("/f", "y"), 0);
  ASSERT_EQ(remove("/f"), 0);
  EXPECT_TRUE(is_whiteout(upper("/f")));
}

TEST_F(Unlink, InAnOpaqueDirectoryNoWhiteoutIsLeft) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "x");
  start();
  ASSERT_EQ(remove("/d/f"), 0);
  ASSERT_EQ(remove_dir("/d"), 0);
  ASSERT_EQ(make_dir("/d"), 0);
  ASSERT_EQ(write_new("/d/f", "y"), 0);
  ASSERT_EQ(remove("/d/f"), 0);
  EXPECT_FALSE(exists(upper("/d/f")));
}

TEST_F(Unlink, Errors) {
  make_lower_dir("/d/sub");
  write_file(lower("/f"), "x");
  ASSERT_EQ(symlink("d", lower("/link").c_str()), 0);
  start();
  EXPECT_EQ(remove("/d"), -EISDIR);
  EXPECT_EQ(remove("/d/"), -EISDIR);
  EXPECT_EQ(remove("/f/"), -ENOTDIR);
  EXPECT_EQ(remove("/link/"), -ENOTDIR);
  EXPECT_EQ(remove("/none"), -ENOENT);
  EXPECT_EQ(remove("/none/"), -ENOENT);
  EXPECT_EQ(remove("/d/."), -EISDIR);
  EXPECT_EQ(remove_dir("/f"), -ENOTDIR);
  EXPECT_EQ(remove_dir("/link"), -ENOTDIR);
  EXPECT_EQ(remove_dir("/d"), -ENOTEMPTY);
  EXPECT_EQ(remove_dir("/d/sub/."), -EINVAL);
  EXPECT_EQ(remove_dir("/d/sub/.."), -ENOTEMPTY);
  EXPECT_EQ(remove_dir("/"), -EBUSY) << "the root of an overlay";
  EXPECT_EQ(remove_dir("/none"), -ENOENT);
  EXPECT_EQ(run<op_unlinkat>(AT_FDCWD, path("/f"), 0x1), -EINVAL);
}

TEST_F(Unlink, EmptyLowerAndMergedDirectories) {
  make_lower_dir("/lower_only");
  make_lower_dir("/merged");
  write_file(lower("/merged/a"), "x");
  write_file(lower("/merged/b"), "x");
  start();
  ASSERT_EQ(remove_dir("/lower_only"), 0);
  EXPECT_TRUE(is_whiteout(upper("/lower_only")));
  EXPECT_EQ(remove_dir("/merged"), -ENOTEMPTY);
  ASSERT_EQ(remove("/merged/a"), 0);
  EXPECT_EQ(remove_dir("/merged"), -ENOTEMPTY);
  ASSERT_EQ(remove("/merged/b"), 0);
  ASSERT_EQ(remove_dir("/merged"), 0);
  EXPECT_TRUE(is_whiteout(upper("/merged")));
}

TEST_F(Unlink, PureUpperDirectoryWithStaleWhiteouts) {
  start();
  ASSERT_EQ(make_dir("/d"), 0);
  ASSERT_EQ(mknod(upper("/d/stale").c_str(), S_IFCHR, 0), 0);
  ASSERT_EQ(remove_dir("/d"), 0);
  EXPECT_FALSE(exists(upper("/d")));
}

TEST_F(Unlink, ExcludedTreeIsBusy) {
  make_lower_dir("/excluded");
  Options options;
  options.excludes = {"/excluded"};
  start(options);
  EXPECT_EQ(remove_dir("/excluded"), -EBUSY);
  EXPECT_TRUE(exists(lower("/excluded")));
}

TEST_F(Unlink, WhereDevicesAreRefused) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), "x");
  Options options;
  options.can_whiteout_device = false;
  start(options);
  ASSERT_EQ(remove("/d/f"), 0);
  EXPECT_FALSE(there("/d/f"));
  ASSERT_EQ(remove_dir("/d"), 0);
  EXPECT_FALSE(there("/d"));
  ASSERT_EQ(make_dir("/d"), 0);
  EXPECT_FALSE(there("/d/f"));
}

}  // namespace
}  // namespace ovl::testing
