// link, symlink, unlink, mknod.
#include <string.h>
#include <sys/sysmacros.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

TREE_SUITE(Link);

TEST_F(Link, GivesAFileAnotherName) {
  Identity file = identity("file");
  ASSERT_OK(t_link("file", "dir/linked"));
  EXPECT_EQ(file, identity("dir/linked"));
  EXPECT_EQ(file, identity("file"));
  EXPECT_EQ(2u, stat_of("file").st_nlink);
  EXPECT_EQ(2u, stat_of("dir/linked").st_nlink);
  EXPECT_EQ(kFileTime, stat_of("file").st_mtim);
  append_to("dir/linked", "more\n");
  EXPECT_EQ("hello lower\nmore\n", content_of("file"));
  ASSERT_OK(t_chmod("file", 0600));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("dir/linked").st_mode);
  ASSERT_OK(t_unlink("file"));
  EXPECT_EQ(1u, stat_of("dir/linked").st_nlink);
  EXPECT_EQ("hello lower\nmore\n", content_of("dir/linked"));
}

TEST_F(Link, ByDescriptorsAndInMovedDirectories) {
  Fd dir(t_open("dir", O_PATH)), dir2(t_open("dir2", O_RDONLY));
  ASSERT_OK(t_linkat(dir, "a", dir2, "linked", 0));
  EXPECT_EQ(identity("dir/a"), identity("dir2/linked"));
  ASSERT_OK(t_rename("dir", "moved"));
  ASSERT_OK(t_link("moved/b", "moved/sub/linked"));
  EXPECT_EQ(identity("moved/b"), identity("moved/sub/linked"));
  EXPECT_EQ("b\n", content_of("moved/sub/linked"));
}

TEST_F(Link, OfASymlinkIsTheSymlink) {
  ASSERT_OK(t_link("rel", "rel2"));
  EXPECT_EQ(identity("rel"), identity("rel2"));
  EXPECT_EQ("dir/a", target_of("rel2"));
  EXPECT_EQ(2u, stat_of("rel").st_nlink);
  ASSERT_OK(t_linkat(AT_FDCWD, "rel", AT_FDCWD, "a2", AT_SYMLINK_FOLLOW));
  EXPECT_EQ(identity("dir/a"), identity("a2"));
  ASSERT_OK(t_link("dangling", "dangling2"));
  EXPECT_ERRNO(ENOENT, t_linkat(AT_FDCWD, "dangling", AT_FDCWD, "x", AT_SYMLINK_FOLLOW));
}

TEST_F(Link, ToANameThatWasRemoved) {
  ASSERT_OK(t_unlink("dir/a"));
  ASSERT_OK(t_link("dir/b", "dir/a"));
  EXPECT_EQ("b\n", content_of("dir/a"));
  EXPECT_EQ(2u, stat_of("dir/b").st_nlink);
}

TEST_F(Link, Refuses) {
  EXPECT_ERRNO(EEXIST, t_link("file", "other"));
  EXPECT_ERRNO(EEXIST, t_link("file", "dir"));
  EXPECT_ERRNO(EEXIST, t_link("file", "dangling"));
  EXPECT_ERRNO(EEXIST, t_link("file", "file"));
  EXPECT_ERRNO(EPERM, t_link("dir", "x"));
  EXPECT_ERRNO(ENOENT, t_link("nothing", "x"));
  EXPECT_ERRNO(ENOENT, t_link("file", "nothing/x"));
  EXPECT_ERRNO(ENOENT, t_link("file", ""));
  EXPECT_ERRNO(ENOENT, t_link("", "x"));
  EXPECT_ERRNO(ENOTDIR, t_link("file/", "x"));
  EXPECT_ERRNO(ENOENT, t_link("file", "x/"));
  EXPECT_ERRNO(ENAMETOOLONG, t_link("file", (kLongName + "x").c_str()));
  EXPECT_ERRNO(EINVAL, t_linkat(AT_FDCWD, "file", AT_FDCWD, "x", 0x40000000));
  EXPECT_ERRNO(EBADF, t_linkat(-1, "file", AT_FDCWD, "x", 0));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_link("file", "dir_ro/x"));
  EXPECT_EQ(1u, stat_of("file").st_nlink);
}

TEST_F(Link, ToOutsideIsAnotherFileSystem) {
  const std::string outside = on_another_file_system();
  if (outside.empty()) GTEST_SKIP() << "one file system everywhere";
  EXPECT_ERRNO(EXDEV, t_link("file", outside.c_str()));
  append_to("file", "more");
  EXPECT_ERRNO(EXDEV, t_link("file", outside.c_str()));
}

TREE_SUITE(HardLinks);  // three names of one file: hard1, hard2, dir/hard3

TEST_F(HardLinks, UntouchedOnesAreOneFile) {
  EXPECT_EQ(3u, stat_of("hard1").st_nlink);
  EXPECT_EQ(identity("hard1"), identity("hard2"));
  EXPECT_EQ(identity("hard1"), identity("dir/hard3"));
}

TEST_F(HardLinks, AWriteShowsUnderEveryName) {
  append_to("hard1", "more\n");
  EXPECT_EQ("three names\nmore\n", content_of("hard2"));
  EXPECT_EQ("three names\nmore\n", content_of("dir/hard3"));
  EXPECT_EQ(identity("hard1"), identity("dir/hard3"));
}

TEST_F(HardLinks, AModeShowsUnderEveryName) {
  ASSERT_OK(t_chmod("dir/hard3", 0600));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("hard1").st_mode);
}

TEST_F(HardLinks, RemovingANameCounts) {
  ASSERT_OK(t_unlink("hard2"));
  EXPECT_EQ(2u, stat_of("hard1").st_nlink);
  EXPECT_EQ(2u, stat_of("dir/hard3").st_nlink);
  EXPECT_EQ(identity("hard1"), identity("dir/hard3"));
}

TEST_F(HardLinks, AnotherNameCounts) {
  ASSERT_OK(t_link("hard1", "hard4"));
  EXPECT_EQ(4u, stat_of("dir/hard3").st_nlink);
  EXPECT_EQ(identity("hard4"), identity("dir/hard3"));
}

TEST_F(HardLinks, ReplacingOneLeavesTheOthers) {
  write_file("new", "new\n");
  ASSERT_OK(t_rename("new", "hard1"));
  EXPECT_EQ("new\n", content_of("hard1"));
  EXPECT_EQ("three names\n", content_of("hard2"));
  EXPECT_EQ("three names\n", content_of("dir/hard3"));
}

TEST_F(HardLinks, KeepTheirInodeInListings) {
  const ino_t ino = stat_of("hard1").st_ino;
  ASSERT_OK(t_chmod("dir/hard3", 0600));
  for (const char* directory : {".", "dir"}) {
    Fd fd(t_open(directory, O_RDONLY | O_DIRECTORY));
    for (const Entry& entry : entries_of(fd)) {
      if (!entry.name.starts_with("hard")) continue;
      EXPECT_EQ(ino, entry.ino) << directory << "/" << entry.name;
    }
  }
}

TEST_F(HardLinks, RenamedOnesAreStillOneFile) {
  const Identity file = identity("hard1");
  ASSERT_OK(t_rename("hard1", "dir2/moved"));
  ASSERT_OK(t_rename("dir", "other_dir"));
  append_to("other_dir/hard3", "more\n");
  for (const char* path : {"dir2/moved", "hard2", "other_dir/hard3"}) {
    EXPECT_EQ("three names\nmore\n", content_of(path)) << path;
    EXPECT_EQ(3u, stat_of(path).st_nlink) << path;
    EXPECT_EQ(file, identity(path)) << path;
  }
  ASSERT_OK(t_rename("dir2/moved", "hard2"));  // two names of one file: both stay
  EXPECT_TRUE(exists("dir2/moved"));
}

TEST_F(HardLinks, ReplacedAndRemovedOnesCountDownToNone) {
  Fd fd(t_open("hard2", O_RDWR));
  write_file("new", "new\n");
  ASSERT_OK(t_rename("new", "hard1"));
  EXPECT_EQ(2u, fstat_of(fd).st_nlink);
  ASSERT_OK(t_unlink("hard2"));
  EXPECT_EQ(1u, fstat_of(fd).st_nlink);
  EXPECT_EQ(1u, stat_of("dir/hard3").st_nlink);
  EXPECT_EQ(4, pwrite(fd, "less", 4, 0));
  EXPECT_EQ("lesse names\n", content_of("dir/hard3"));
  ASSERT_OK(t_unlink("dir/hard3"));
  EXPECT_EQ(0u, fstat_of(fd).st_nlink);
}

TEST_F(HardLinks, ExchangedOnesKeepTheirCount) {
  append_to("hard1", "more\n");
  ASSERT_OK(t_renameat2(AT_FDCWD, "hard2", AT_FDCWD, "dir/a", RENAME_EXCHANGE));
  EXPECT_EQ("three names\nmore\n", content_of("dir/a"));
  EXPECT_EQ(3u, stat_of("dir/a").st_nlink);
  EXPECT_EQ(identity("hard1"), identity("dir/a"));
  EXPECT_EQ(1u, stat_of("hard2").st_nlink);
  EXPECT_EQ("a\n", content_of("hard2"));
}

TEST_F(HardLinks, TwoProcessesChangeTwoNamesAtOnce) {
  const Identity file = identity("hard1");
  const auto change = [](const char* path, mode_t mode) {
    for (int i = 0; i < 50; i++)
      if (t_chmod(path, i % 2 == 0 ? 0600 : mode) != 0) return 1;
    append_to(path, "+");
    return 0;
  };
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) _exit(change("hard2", 0640));
  EXPECT_EQ(0, change("dir/hard3", 0640));
  int status = -1;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_EQ("three names\n++", content_of("hard1"));
  for (const char* path : {"hard1", "hard2", "dir/hard3"}) {
    EXPECT_EQ(file, identity(path)) << path;
    EXPECT_EQ(3u, stat_of(path).st_nlink) << path;
    EXPECT_EQ(mode_t(S_IFREG | 0640), stat_of(path).st_mode) << path;
  }
}

TREE_SUITE(Symlink);

TEST_F(Symlink, KeepsItsText) {
  for (const std::string& text : {"x"s, "/abs/../."s, "a b\nc"s, "\xff"s, std::string(4095, 't')}) {
    ASSERT_OK(t_symlink(text.c_str(), "dir/new"));
    EXPECT_EQ(text, target_of("dir/new"));
    EXPECT_EQ(off_t(text.size()), stat_of("dir/new").st_size);
    EXPECT_EQ(mode_t(S_IFLNK | 0777), stat_of("dir/new").st_mode);
    ASSERT_OK(t_unlink("dir/new"));
  }
}

TEST_F(Symlink, IsFollowed) {
  ASSERT_OK(t_symlink("../file", "dir/new"));
  EXPECT_EQ("hello lower\n", content_of("dir/new"));
  ASSERT_OK(t_symlink((cwd() + "/dir/sub").c_str(), "tosub"));
  EXPECT_EQ("x\n", content_of("tosub/x"));
  EXPECT_EQ("a\n", content_of("tosub/../a"));
  Fd dir(t_open("dir/sub", O_PATH));
  ASSERT_OK(t_symlinkat("../a", dir, "toa"));
  EXPECT_EQ("a\n", content_of("dir/sub/toa"));
  ASSERT_OK(t_symlink("toa", "dir/sub/totoa"));
  append_to("dir/sub/totoa", "more\n");
  EXPECT_EQ("a\nmore\n", content_of("dir/a"));
}

TEST_F(Symlink, OfProcTellsWhoAsks) {
  ASSERT_OK(t_symlink("/proc", "toproc"));
  const std::string self = std::to_string(getpid());
  EXPECT_EQ(self, target_of("/proc/self"));
  EXPECT_EQ(self, target_of("toproc/self"));
  EXPECT_EQ(self + "/task/" + self, target_of("toproc/thread-self"));
  EXPECT_EQ(cwd(), target_of("toproc/self/cwd"));
}

TEST_F(Symlink, Refuses) {
  EXPECT_ERRNO(EEXIST, t_symlink("x", "file"));
  EXPECT_ERRNO(EEXIST, t_symlink("x", "dir"));
  EXPECT_ERRNO(EEXIST, t_symlink("x", "dangling"));
  EXPECT_ERRNO(ENOENT, t_symlink("", "x"));
  EXPECT_ERRNO(ENOENT, t_symlink("x", ""));
  EXPECT_ERRNO(ENOENT, t_symlink("x", "nothing/x"));
  EXPECT_ERRNO(ENOTDIR, t_symlink("x", "file/x"));
  EXPECT_ERRNO(ENOENT, t_symlink("x", "new/"));
  EXPECT_ERRNO(ENAMETOOLONG, t_symlink(std::string(4096, 't').c_str(), "x"));
  EXPECT_ERRNO(ENAMETOOLONG, t_symlink("x", (kLongName + "x").c_str()));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_symlink("x", "dir_ro/x"));
}

TREE_SUITE(Unlink);

TEST_F(Unlink, RemovesAName) {
  for (const char* path : {"file", "rel", "dangling", "loop", "fifo", "socket", "noperm",
                           "readonly", "empty", "dir/a"}) {
    ASSERT_TRUE(exists(path)) << path;
    ASSERT_OK(t_unlink(path)) << path;
    EXPECT_FALSE(exists(path)) << path;
    EXPECT_ERRNO(ENOENT, t_unlink(path)) << path;
  }
  ASSERT_OK(t_chmod("dir_noread", 0300));
  ASSERT_OK(t_unlink("dir_noread/inside"));
  EXPECT_FALSE(names_in(".").contains("file"));
  EXPECT_FALSE(names_in("dir").contains("a"));
  EXPECT_TRUE(exists("dir/link"));
  EXPECT_LT(kDirTime.tv_sec, stat_of("dir").st_mtim.tv_sec);
}

TEST_F(Unlink, ThroughASymlinkToADirectory) {
  ASSERT_OK(t_unlink("dirlink/a"));
  EXPECT_FALSE(exists("dir/a"));
  ASSERT_OK(t_unlink("dirlink2/x"));
  EXPECT_FALSE(exists("dir/sub/x"));
  Fd dir(t_open("absdir", O_RDONLY));
  ASSERT_OK(t_unlinkat(dir, "sub/y", 0));
  EXPECT_FALSE(exists("dir/sub/y"));
}

TEST_F(Unlink, OfWhatWasChangedOrMade) {
  append_to("file", "more");
  ASSERT_OK(t_unlink("file"));
  EXPECT_FALSE(exists("file"));
  write_file("dir/new", "new");
  ASSERT_OK(t_unlink("dir/new"));
  EXPECT_FALSE(exists("dir/new"));
  EXPECT_FALSE(names_in("dir").contains("new"));
}

TEST_F(Unlink, AndMakeAgainMakesAnotherFile) {
  ASSERT_OK(t_chmod("file", 0600));
  for (int round = 0; round < 3; round++) {
    ASSERT_OK(t_unlink("file"));
    write_file("file", "again");
    EXPECT_EQ("again", content_of("file"));
    EXPECT_EQ(mode_t(S_IFREG | 0644), stat_of("file").st_mode);
    EXPECT_EQ(1u, stat_of("file").st_nlink);
    EXPECT_EQ(Names{}, xattrs_of("file"));
  }
}

TEST_F(Unlink, Refuses) {
  EXPECT_ERRNO(EISDIR, t_unlink("dir"));
  EXPECT_ERRNO(EISDIR, t_unlink("emptydir"));
  EXPECT_ERRNO(EISDIR, t_unlink("."));
  EXPECT_ERRNO(EISDIR, t_unlink("dir/"));
  EXPECT_ERRNO(ENOTDIR, t_unlink("file/"));
  EXPECT_ERRNO(ENOTDIR, t_unlink("dirlink/"));
  EXPECT_ERRNO(ENOENT, t_unlink("nothing"));
  EXPECT_ERRNO(ENOENT, t_unlink("nothing/"));
  EXPECT_ERRNO(ENOENT, t_unlink(""));
  EXPECT_ERRNO(ENOTDIR, t_unlink("file/x"));
  EXPECT_ERRNO(EINVAL, t_unlinkat(AT_FDCWD, "file", 0x40000000));
  EXPECT_ERRNO(EBADF, t_unlinkat(-1, "file", 0));
  EXPECT_TRUE(exists("file"));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_unlink("dir_ro/inside"));
  EXPECT_ERRNO(EACCES, t_unlink("dir_none/inside"));
  EXPECT_EQ("inside\n", content_of("dir_ro/inside"));
}

TEST_F(Unlink, LeavesOpenDescriptorsTheirObject) {
  Fd lower(t_open("file", O_RDONLY)), written(t_open("other", O_RDWR));
  EXPECT_EQ(5, write(written, "WROTE", 5));
  ASSERT_OK(t_unlink("file"));
  ASSERT_OK(t_unlink("other"));
  EXPECT_EQ(12, fstat_of(lower).st_size);
  EXPECT_EQ(0u, fstat_of(lower).st_nlink);
  EXPECT_EQ(0u, fstat_of(written).st_nlink);
  char buffer[6] = {};
  EXPECT_EQ(5, pread(written, buffer, 5, 0));
  EXPECT_STREQ("WROTE", buffer);
}

TREE_SUITE(Mknod);

TEST_F(Mknod, MakesFifosSocketsAndFiles) {
  ASSERT_OK(t_mknod("dir/fifo", S_IFIFO | 0666, 0));
  EXPECT_EQ(mode_t(S_IFIFO | 0644), stat_of("dir/fifo").st_mode);
  Fd dir(t_open("dir", O_PATH));
  ASSERT_OK(t_mknodat(dir, "socket", S_IFSOCK | 0600, 0));
  EXPECT_EQ(mode_t(S_IFSOCK | 0600), stat_of("dir/socket").st_mode);
  ASSERT_OK(t_mknod("dir/regular", S_IFREG | 0640, 0));
  EXPECT_EQ(mode_t(S_IFREG | 0640), stat_of("dir/regular").st_mode);
  ASSERT_OK(t_mknod("dir/untyped", 0600, 0));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("dir/untyped").st_mode);
  ASSERT_OK(t_unlink("file"));
  ASSERT_OK(t_mknod("file", S_IFIFO | 0600, 0));
  EXPECT_TRUE(S_ISFIFO(stat_of("file").st_mode));
}

TEST_F(Mknod, Refuses) {
  EXPECT_ERRNO(EEXIST, t_mknod("file", S_IFIFO | 0600, 0));
  EXPECT_ERRNO(EEXIST, t_mknod("dangling1", S_IFREG | 0600, 0));
  EXPECT_ERRNO(ENOENT, t_mknod("nothing/x", S_IFIFO | 0600, 0));
  EXPECT_ERRNO(ENOENT, t_mknod("x/", S_IFIFO | 0600, 0));
  EXPECT_ERRNO(EPERM, t_mknod("x", S_IFDIR | 0700, 0));
  EXPECT_ERRNO(EINVAL, t_mknod("x", S_IFLNK | 0700, 0));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EPERM, t_mknod("x", S_IFCHR | 0600, makedev(1, 3)));
  EXPECT_ERRNO(EPERM, t_mknod("x", S_IFBLK | 0600, makedev(8, 0)));
  EXPECT_ERRNO(EACCES, t_mknod("dir_ro/x", S_IFIFO | 0600, 0));
}

}  // namespace
}  // namespace syscalls
