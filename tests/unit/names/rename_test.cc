// rename(2) of files.
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

using Rename = NamesTest;

TEST_F(Rename, LowerFileLeavesAWhiteoutAndKeepsItsInode) {
  make_lower_dir("/d");
  write_file(lower("/f"), "content");
  start();
  const uint64_t inode = look("/f").stx_ino;
  ASSERT_EQ(move("/f", "/d/g"), 0);
  EXPECT_TRUE(is_whiteout(upper("/f")));
  EXPECT_EQ(read_virtual("/d/g"), "content");
  EXPECT_FALSE(there("/f"));
  EXPECT_EQ(look("/d/g").stx_ino, inode);
  ASSERT_EQ(try_open("/d/g", O_RDWR), 0);
  if (xattr(upper("/d/g"), name(Priv::kOrigin)) != "<none>") {
    EXPECT_EQ(look("/d/g").stx_ino, inode);
    EXPECT_EQ(xattr(upper("/d"), name(Priv::kImpure)), "y");
  }
  EXPECT_EQ(read_file(lower("/f")), "content");
}

TEST_F(Rename, PureUpperFileLeavesNothing) {
  start();
  ASSERT_EQ(write_new("/f", "x"), 0);
  ASSERT_EQ(move("/f", "/g"), 0);
  EXPECT_FALSE(exists(upper("/f")));
  EXPECT_EQ(read_virtual("/g"), "x");
}

TEST_F(Rename, ReplacesLowerUpperAndWhiteout) {
  write_file(lower("/lower"), "old");
  write_file(lower("/gone"), "old");
  write_file(lower("/copied"), "old");
  start();
  ASSERT_EQ(remove("/gone"), 0);
  ASSERT_EQ(write_new("/copied", "copy"), 0);
  for (const char* target : {"/lower", "/gone", "/copied"}) {
    ASSERT_EQ(write_new("/new", "new"), 0);
    ASSERT_EQ(move("/new", target), 0) << target;
    EXPECT_EQ(read_virtual(target), "new");
    EXPECT_FALSE(exists(upper("/new"))) << "no whiteout where nothing is below";
  }
  EXPECT_EQ(read_file(lower("/lower")), "old");
}

TEST_F(Rename, OfALowerFileOverAWhiteoutLeavesOne) {
  write_file(lower("/a"), "a");
  write_file(lower("/b"), "b");
  start();
  ASSERT_EQ(remove("/b"), 0);
  ASSERT_EQ(move("/a", "/b"), 0);
  EXPECT_TRUE(is_whiteout(upper("/a")));
  EXPECT_EQ(read_virtual("/b"), "a");
  ASSERT_EQ(move("/b", "/a"), 0);
  EXPECT_EQ(read_virtual("/a"), "a");
  EXPECT_TRUE(is_whiteout(upper("/b")));
}

TEST_F(Rename, Flags) {
  write_file(lower("/a"), "a");
  write_file(lower("/b"), "b");
  start();
  EXPECT_EQ(move("/a", "/b", RENAME_NOREPLACE), -EEXIST);
  EXPECT_EQ(move("/a", "/new", RENAME_EXCHANGE), -ENOENT);
  EXPECT_EQ(move("/a", "/b", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
  EXPECT_EQ(move("/a", "/b", 1u << 10), -EINVAL);
  EXPECT_EQ(move("/a", "/new", 4 /* RENAME_WHITEOUT */), -EINVAL);
  ASSERT_EQ(move("/a", "/b", RENAME_EXCHANGE), 0);
  EXPECT_EQ(read_virtual("/a"), "b");
  EXPECT_EQ(read_virtual("/b"), "a");
  EXPECT_EQ(move("/a", "/new", RENAME_NOREPLACE), 0);
  EXPECT_EQ(read_virtual("/new"), "b");
}

TEST_F(Rename, SameObjectIsLeftAlone) {
  write_file(lower("/a"), "a");
  ASSERT_EQ(link(lower("/a").c_str(), lower("/hard").c_str()), 0);
  start();
  EXPECT_EQ(move("/a", "/a"), 0);
  EXPECT_EQ(move("/a", "/hard"), 0) << "hard links of one file";
  EXPECT_TRUE(there("/a"));
  EXPECT_FALSE(exists(upper("/a")));
  ASSERT_EQ(write_new("/x", "x"), 0);
  ASSERT_EQ(make_link("/x", "/y"), 0);
  EXPECT_EQ(move("/x", "/y"), 0);
  EXPECT_TRUE(there("/x"));
}

TEST_F(Rename, Errors) {
  write_file(lower("/f"), "f");
  make_lower_dir("/d/sub");
  make_lower_dir("/e");
  start();
  EXPECT_EQ(move("/none", "/x"), -ENOENT);
  EXPECT_EQ(move("/f", "/none/x"), -ENOENT);
  EXPECT_EQ(move("/f", "/d"), -EISDIR);
  EXPECT_EQ(move("/d", "/f"), -ENOTDIR);
  EXPECT_EQ(move("/f/", "/x"), -ENOTDIR);
  EXPECT_EQ(move("/f", "/x/"), -ENOTDIR);
  EXPECT_EQ(move("/d", "/d/sub/x"), -EINVAL);
  EXPECT_EQ(move("/d/sub", "/d"), -ENOTEMPTY);
  EXPECT_EQ(move("/d/sub", "/d", RENAME_EXCHANGE), -EINVAL);
  EXPECT_EQ(move("/e", "/d"), -ENOTEMPTY);
  EXPECT_EQ(move("/d/.", "/x"), -EBUSY);
  EXPECT_EQ(move("/f", "/d/.."), -EBUSY);
  EXPECT_EQ(move("/", "/d/x"), -EXDEV);
  const std::string out = root() + "/outside";
  EXPECT_EQ(run<op_renameat2>(AT_FDCWD, path("/f"), AT_FDCWD, UserPath(out.c_str()), 0u), -EXDEV);
  EXPECT_EQ(run<op_renameat2>(AT_FDCWD, UserPath(out.c_str()), AT_FDCWD, path("/x"), 0u), -ENOENT);
  write_file(out, "x");
  EXPECT_EQ(run<op_renameat2>(AT_FDCWD, UserPath(out.c_str()), AT_FDCWD, path("/x"), 0u), -EXDEV);
  EXPECT_FALSE(exists(upper("/f")));
}

TEST_F(Rename, SymlinkMoves) {
  ASSERT_EQ(symlink("target", lower("/s").c_str()), 0);
  start();
  ASSERT_EQ(move("/s", "/t"), 0);
  EXPECT_EQ(std::filesystem::read_symlink(upper("/t")), "target");
  EXPECT_TRUE(is_whiteout(upper("/s")));
}

TEST_F(Rename, MovedCopyDoesNotBorrowAnotherLowersInode) {
  write_file(lower("/a"), "a");
  write_file(lower("/b"), "b");
  start();
  const uint64_t b = look("/b").stx_ino;
  ASSERT_EQ(move("/a", "/b"), 0);
  EXPECT_NE(look("/b").stx_ino, b);
}

TEST_F(Rename, WhereDevicesAreRefused) {
  write_file(lower("/a"), "a");
  write_file(lower("/b"), "b");
  Options options;
  options.can_whiteout_device = false;
  start(options);
  ASSERT_EQ(move("/a", "/new"), 0);
  EXPECT_FALSE(there("/a"));
  EXPECT_EQ(read_virtual("/new"), "a");
  ASSERT_EQ(move("/b", "/new"), 0);
  EXPECT_FALSE(there("/b"));
  EXPECT_EQ(read_virtual("/new"), "b");
  ASSERT_EQ(move("/new", "/a"), 0);
  EXPECT_EQ(read_virtual("/a"), "b");
}

}  // namespace
}  // namespace ovl::testing
