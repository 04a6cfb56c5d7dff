// rename, renameat, renameat2: files, symlinks, directories with everything below them, exchange.
#include <string.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

TREE_SUITE(Rename);

const Names kDirNames = {"a", "b", "c", "sub", "link", "up", "hard3"};

int rename2(const char* from, const char* to, unsigned flags) {
  return t_renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

TEST_F(Rename, MovesAFile) {
  Identity file = identity("file");
  struct stat before = stat_of("file");
  ASSERT_OK(t_rename("file", "dir/moved"));
  EXPECT_FALSE(exists("file"));
  EXPECT_EQ(file, identity("dir/moved"));
  EXPECT_EQ("hello lower\n", content_of("dir/moved"));
  EXPECT_EQ(before.st_mtim, stat_of("dir/moved").st_mtim);
  EXPECT_EQ(before.st_mode, stat_of("dir/moved").st_mode);
  EXPECT_FALSE(names_in(".").contains("file"));
  EXPECT_TRUE(names_in("dir").contains("moved"));
  EXPECT_ERRNO(ENOENT, t_open("file", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_rename("file", "x"));
}

TEST_F(Rename, ReplacesAFile) {
  Identity file = identity("file");
  ASSERT_OK(t_rename("file", "dir/a"));
  EXPECT_EQ(file, identity("dir/a"));
  EXPECT_EQ("hello lower\n", content_of("dir/a"));
  EXPECT_EQ(kDirNames, names_in("dir"));
  EXPECT_FALSE(exists("file"));
}

TEST_F(Rename, OfANewFileOverALowerOne) {
  write_file("dir/new", "new\n");
  ASSERT_OK(t_rename("dir/new", "dir/a"));
  EXPECT_EQ("new\n", content_of("dir/a"));
  EXPECT_EQ(kDirNames, names_in("dir"));
  ASSERT_OK(t_rename("dir/b", "dir/a"));
  EXPECT_EQ("b\n", content_of("dir/a"));
}

TEST_F(Rename, ToItsOwnNameDoesNothing) {
  ASSERT_OK(t_rename("file", "file"));
  ASSERT_OK(t_rename("dir", "./dir"));
  ASSERT_OK(t_rename("hard1", "hard2"));  // two names of one file: both stay
  EXPECT_TRUE(exists("hard1"));
  EXPECT_EQ(3u, stat_of("hard1").st_nlink);
  EXPECT_EQ("hello lower\n", content_of("file"));
}

TEST_F(Rename, MovesASymlinkItself) {
  ASSERT_OK(t_rename("rel", "dir/rel"));
  EXPECT_EQ("dir/a", target_of("dir/rel"));
  ASSERT_OK(t_rename("dangling", "dangling2"));
  EXPECT_EQ("nothing/here", target_of("dangling2"));
  ASSERT_OK(t_rename("loop", "file"));
  EXPECT_TRUE(S_ISLNK(stat_of("file").st_mode));
  ASSERT_OK(t_rename("other", "abs"));  // replaces the symlink, not what it names
  EXPECT_EQ("another file\n", content_of("abs"));
  EXPECT_EQ("a\n", content_of("dir/a"));
}

TEST_F(Rename, MovesSpecialFiles) {
  ASSERT_OK(t_rename("fifo", "dir/fifo"));
  EXPECT_TRUE(S_ISFIFO(stat_of("dir/fifo").st_mode));
  ASSERT_OK(t_rename("socket", "dir/socket"));
  EXPECT_TRUE(S_ISSOCK(stat_of("dir/socket").st_mode));
}

TEST_F(Rename, MovesADirectoryWithItsContents) {
  Identity dir = identity("dir"), z = identity("dir/sub/deeper/z");
  ASSERT_OK(t_rename("dir", "moved"));
  EXPECT_FALSE(exists("dir"));
  EXPECT_EQ(dir, identity("moved"));
  EXPECT_EQ(z, identity("moved/sub/deeper/z"));
  EXPECT_EQ(kDirNames, names_in("moved"));
  EXPECT_EQ("z\n", content_of("moved/sub/deeper/z"));
  EXPECT_EQ("a\n", content_of("moved/link"));
  EXPECT_EQ("hello lower\n", content_of("moved/up"));
  EXPECT_ERRNO(ENOENT, t_open("dir/a", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_open("rel", O_RDONLY));
  EXPECT_EQ(mode_t(S_IFDIR | 0755), stat_of("moved").st_mode);
  EXPECT_EQ(kDirTime, stat_of("moved").st_mtim);
}

TEST_F(Rename, MovesADirectoryIntoAnother) {
  ASSERT_OK(t_rename("dir", "dir2/inner"));
  EXPECT_EQ((Names{"a", "q", "inner"}), names_in("dir2"));
  EXPECT_EQ("z\n", content_of("dir2/inner/sub/deeper/z"));
  ASSERT_OK(t_rename("dir2/inner/sub", "emptydir/sub"));
  EXPECT_EQ("z\n", content_of("emptydir/sub/deeper/z"));
  EXPECT_FALSE(exists("dir2/inner/sub"));
  ASSERT_OK(t_rename("emptydir", "dir2/inner/e"));
  EXPECT_EQ("x\n", content_of("dir2/inner/e/sub/x"));
  EXPECT_EQ(identity("dir2"), identity("dir2/inner/e/../../../dir2"));
}

TEST_F(Rename, AMovedDirectoryCanBeChanged) {
  ASSERT_OK(t_rename("dir", "moved"));
  append_to("moved/a", "more\n");
  ASSERT_OK(t_unlink("moved/b"));
  ASSERT_OK(t_chmod("moved/c", 0600));
  write_file("moved/sub/new", "new\n");
  ASSERT_OK(t_rename("moved/sub/x", "moved/x"));
  EXPECT_EQ("a\nmore\n", content_of("moved/a"));
  EXPECT_EQ((Names{"a", "c", "x", "sub", "link", "up", "hard3"}), names_in("moved"));
  EXPECT_EQ((Names{"y", "deeper", "new"}), names_in("moved/sub"));
  EXPECT_EQ("x\n", content_of("moved/x"));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("moved/c").st_mode);
}

TEST_F(Rename, TheOldNameStartsEmpty) {
  ASSERT_OK(t_rename("dir", "moved"));
  ASSERT_OK(t_mkdir("dir", 0755));
  EXPECT_EQ(Names{}, names_in("dir"));
  EXPECT_FALSE(exists("dir/a"));
  write_file("dir/a", "other");
  EXPECT_EQ("a\n", content_of("moved/a"));
  ASSERT_OK(t_rename("file", "moved/file"));
  write_file("file", "again");
  EXPECT_EQ("hello lower\n", content_of("moved/file"));
}

TEST_F(Rename, ThereAndBack) {
  for (int round = 0; round < 3; round++) {
    ASSERT_OK(t_rename("dir", "moved"));
    ASSERT_OK(t_rename("moved", "dir2/moved"));
    ASSERT_OK(t_rename("dir2/moved", "dir"));
    EXPECT_EQ(kDirNames, names_in("dir"));
    EXPECT_EQ("z\n", content_of("dir/sub/deeper/z"));
    EXPECT_EQ((Names{"a", "q"}), names_in("dir2"));
    ASSERT_OK(t_rename("file", "other2"));
    ASSERT_OK(t_rename("other2", "file"));
  }
  EXPECT_EQ("hello lower\n", content_of("file"));
}

TEST_F(Rename, ChildrenThenParents) {
  ASSERT_OK(t_rename("dir/sub/deeper", "dir/sub/d"));
  ASSERT_OK(t_rename("dir/sub", "dir/s"));
  ASSERT_OK(t_rename("dir", "d"));
  EXPECT_EQ("z\n", content_of("d/s/d/z"));
  ASSERT_OK(t_rename("d/s/d", "d/s/deeper"));
  ASSERT_OK(t_rename("d/s/deeper", "deep/deeper"));
  EXPECT_EQ("z\n", content_of("deep/deeper/z"));
  EXPECT_EQ((Names{"x", "y"}), names_in("d/s"));
}

TEST_F(Rename, ThreeDirectoriesInACircle) {
  ASSERT_OK(t_rename("dir", "t"));
  ASSERT_OK(t_rename("dir2", "dir"));
  ASSERT_OK(t_rename("emptydir", "dir2"));
  ASSERT_OK(t_rename("t", "emptydir"));
  EXPECT_EQ((Names{"a", "q"}), names_in("dir"));
  EXPECT_EQ(Names{}, names_in("dir2"));
  EXPECT_EQ(kDirNames, names_in("emptydir"));
  EXPECT_EQ("a of dir2\n", content_of("dir/a"));
  EXPECT_EQ("a\n", content_of("emptydir/a"));
}

TEST_F(Rename, OfADirectoryWithChangesInside) {
  append_to("dir/a", "more\n");
  ASSERT_OK(t_unlink("dir/b"));
  write_file("dir/sub/new", "new\n");
  ASSERT_OK(t_rename("dir", "dir2/moved"));
  EXPECT_EQ("a\nmore\n", content_of("dir2/moved/a"));
  EXPECT_FALSE(exists("dir2/moved/b"));
  EXPECT_EQ("new\n", content_of("dir2/moved/sub/new"));
  EXPECT_EQ("c\n", content_of("dir2/moved/c"));
}

TEST_F(Rename, ReplacesAnEmptyDirectory) {
  Identity dir = identity("dir");
  ASSERT_OK(t_rename("dir", "emptydir"));
  EXPECT_EQ(dir, identity("emptydir"));
  EXPECT_EQ(kDirNames, names_in("emptydir"));
  ASSERT_OK(t_mkdir("new", 0755));
  for (const char* path : {"dir2/a", "dir2/q"}) ASSERT_OK(t_unlink(path));
  ASSERT_OK(t_rename("new", "dir2"));  // looks empty to programs
  EXPECT_EQ(Names{}, names_in("dir2"));
}

TEST_F(Rename, RefusesADirectoryThatHasEntries) {
  EXPECT_ERRNO(ENOTEMPTY, t_rename("dir", "dir2"));
  EXPECT_ERRNO(ENOTEMPTY, t_rename("emptydir", "dir"));
  EXPECT_EQ(kDirNames, names_in("dir"));
  ASSERT_OK(t_unlink("dir2/a"));
  EXPECT_ERRNO(ENOTEMPTY, t_rename("dir", "dir2"));
}

TEST_F(Rename, RefusesDifferentTypes) {
  EXPECT_ERRNO(EISDIR, t_rename("file", "dir"));
  EXPECT_ERRNO(EISDIR, t_rename("file", "emptydir"));
  EXPECT_ERRNO(EISDIR, t_rename("rel", "emptydir"));
  EXPECT_ERRNO(ENOTDIR, t_rename("dir", "file"));
  EXPECT_ERRNO(ENOTDIR, t_rename("emptydir", "dirlink"));
  EXPECT_ERRNO(ENOTDIR, t_rename("emptydir", "fifo"));
}

TEST_F(Rename, RefusesADirectoryBelowItself) {
  EXPECT_ERRNO(EINVAL, t_rename("dir", "dir/x"));
  EXPECT_ERRNO(EINVAL, t_rename("dir", "dir/sub/deeper/x"));
  EXPECT_ERRNO(EINVAL, t_rename("dir", "dirlink2/x"));
  EXPECT_ERRNO(ENOTEMPTY, t_rename("dir/sub", "dir"));
  ASSERT_OK(t_rename("dir", "moved"));
  EXPECT_ERRNO(EINVAL, t_rename("moved", "moved/sub/x"));
}

TEST_F(Rename, RefusesDots) {
  EXPECT_ERRNO(EBUSY, t_rename(".", "x"));
  EXPECT_ERRNO(EBUSY, t_rename("dir/.", "x"));
  EXPECT_ERRNO(EBUSY, t_rename("dir/..", "x"));
  EXPECT_ERRNO(EBUSY, t_rename("emptydir", "dir/."));
  EXPECT_ERRNO(EBUSY, t_rename("emptydir", ".."));
}

TEST_F(Rename, SlashesAtTheEnd) {
  EXPECT_ERRNO(ENOTDIR, t_rename("file/", "x"));
  EXPECT_ERRNO(ENOTDIR, t_rename("file", "x/"));
  EXPECT_ERRNO(ENOTDIR, t_rename("dirlink/", "x"));
  EXPECT_ERRNO(ENOTDIR, t_rename("file", "other/"));
  ASSERT_OK(t_rename("dir/", "moved/"));
  EXPECT_EQ(kDirNames, names_in("moved"));
  ASSERT_OK(t_rename("moved", "emptydir/"));
  EXPECT_EQ(kDirNames, names_in("emptydir"));
}

TEST_F(Rename, RefusesAsEveryWalkDoes) {
  EXPECT_ERRNO(ENOENT, t_rename("nothing", "x"));
  EXPECT_ERRNO(ENOENT, t_rename("file", "nothing/x"));
  EXPECT_ERRNO(ENOENT, t_rename("", "x"));
  EXPECT_ERRNO(ENOENT, t_rename("file", ""));
  EXPECT_ERRNO(ENOTDIR, t_rename("file/x", "y"));
  EXPECT_ERRNO(ENOTDIR, t_rename("other", "file/y"));
  EXPECT_ERRNO(ELOOP, t_rename("loop/x", "y"));
  EXPECT_ERRNO(ENAMETOOLONG, t_rename("file", (kLongName + "x").c_str()));
  EXPECT_ERRNO(EBADF, t_renameat(-1, "file", AT_FDCWD, "x"));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_rename("dir_ro/inside", "x"));
  EXPECT_ERRNO(EACCES, t_rename("file", "dir_ro/x"));
  EXPECT_ERRNO(EACCES, t_rename("file", "dir_none/x"));
  EXPECT_TRUE(exists("file"));
}

TEST_F(Rename, OfWhatIsOutsideIsLookedUpBeforeTheNewName) {
  const std::string outside = on_another_file_system();
  if (outside.empty()) GTEST_SKIP() << "one file system everywhere";
  const int fd = open(outside.c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  close(fd);
  const std::string below = outside + "/x";
  EXPECT_ERRNO(ENOTDIR, t_rename(below.c_str(), "missing/x"));
  EXPECT_ERRNO(ENOTDIR, t_rename(below.c_str(), (outside + "-missing/x").c_str()));
  EXPECT_ERRNO(ENOENT, t_rename((outside + "-missing/x").c_str(), "file/x"));
  EXPECT_EQ(unlink(outside.c_str()), 0);
}

TEST_F(Rename, ToOutsideIsAnotherFileSystem) {
  const std::string outside = on_another_file_system();
  if (outside.empty()) GTEST_SKIP() << "one file system everywhere";
  EXPECT_ERRNO(EXDEV, t_rename("file", outside.c_str()));
  EXPECT_ERRNO(EXDEV, t_rename("dir", outside.c_str()));
  EXPECT_ERRNO(EXDEV, t_rename("/proc/self/status", "x"));
}

TEST_F(Rename, ToANameThatWasRemoved) {
  ASSERT_OK(t_unlink("dir/a"));
  ASSERT_OK(t_rename("dir/b", "dir/a"));
  EXPECT_EQ("b\n", content_of("dir/a"));
  ASSERT_OK(t_rmdir("emptydir"));
  ASSERT_OK(t_rename("dir", "emptydir"));
  EXPECT_EQ("z\n", content_of("emptydir/sub/deeper/z"));
  ASSERT_OK(t_rename("file", "dir"));
  EXPECT_EQ("hello lower\n", content_of("dir"));
}

TEST_F(Rename, AtDescriptors) {
  Fd dir(t_open("dir", O_PATH)), dir2(t_open("dir2", O_RDONLY));
  ASSERT_OK(t_renameat(dir, "a", dir2, "from_dir"));
  EXPECT_EQ("a\n", content_of("dir2/from_dir"));
  ASSERT_OK(t_renameat2(dir, "sub", AT_FDCWD, "sub", 0));
  EXPECT_EQ("x\n", content_of("sub/x"));
  ASSERT_OK(t_renameat(-1, (cwd() + "/file").c_str(), dir, "../dir2/file"));
  EXPECT_TRUE(exists("dir2/file"));
}

TEST_F(Rename, DescriptorsOfAMovedDirectoryFollow) {
  Fd dir(t_open("dir", O_RDONLY)), sub(t_open("dir/sub", O_PATH)), a(t_open("dir/a", O_RDONLY));
  ASSERT_OK(t_rename("dir", "dir2/moved"));
  EXPECT_OK(Fd(t_openat(dir, "b", O_RDONLY)));
  EXPECT_OK(Fd(t_openat(sub, "x", O_RDWR)));
  EXPECT_OK(Fd(t_openat(sub, "../../q", O_RDONLY)));
  { Fd made(t_openat(dir, "made", O_WRONLY | O_CREAT, 0644)); }
  EXPECT_TRUE(exists("dir2/moved/made"));
  ASSERT_OK(t_mkdirat(sub, "newdir", 0755));
  EXPECT_TRUE(exists("dir2/moved/sub/newdir"));
  ASSERT_OK(t_unlinkat(dir, "b", 0));
  EXPECT_FALSE(exists("dir2/moved/b"));
  EXPECT_EQ(identity("dir2/moved"), identity(dir));
  EXPECT_EQ("a\n", read_all(a));
  ASSERT_OK(t_fchmod(a, 0600));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("dir2/moved/a").st_mode);
  ASSERT_OK(t_mkdir("dir", 0755));  // another one under the old name is not meant
  ASSERT_OK(t_mkdirat(dir, "again", 0755));
  EXPECT_EQ(Names{}, names_in("dir"));
}

TEST_F(Rename, TheCurrentDirectoryFollows) {
  const std::string top = cwd();
  ASSERT_OK(t_chdir("dir/sub"));
  ASSERT_OK(t_rename("../../dir", "../../dir2/moved"));
  EXPECT_EQ(top + "/dir2/moved/sub", cwd());
  EXPECT_EQ("x\n", content_of("x"));
  EXPECT_EQ("a\n", content_of("../a"));
  EXPECT_EQ("q\n", content_of("../../q"));
  write_file("new", "new");
  EXPECT_TRUE(exists(top + "/dir2/moved/sub/new"));
  ASSERT_OK(t_chdir(".."));
  EXPECT_EQ(top + "/dir2/moved", cwd());
  EXPECT_EQ(kDirNames, names_in("."));
}

TEST_F(Rename, AChildSeesItToo) {
  ASSERT_OK(t_chdir("dir"));
  EXPECT_EQ(0, in_child([] { return t_rename("../dir", "../moved"); }));
  EXPECT_EQ("a\n", content_of("a"));
  write_file("new", "new");
  EXPECT_EQ("new", content_of("../moved/new"));
  EXPECT_FALSE(exists("../dir"));
}

TEST_F(Rename, UpdatesTheTimesOfBothDirectories) {
  ASSERT_OK(t_rename("dir/a", "dir2/moved"));
  EXPECT_LT(kDirTime.tv_sec, stat_of("dir").st_mtim.tv_sec);
  EXPECT_LT(kDirTime.tv_sec, stat_of("dir2").st_mtim.tv_sec);
  EXPECT_EQ(kDirTime, stat_of("emptydir").st_mtim);
}

TEST_F(Rename, KeepsHostileNames) {
  ASSERT_OK(t_rename("names", "renamed\nnames"));
  for (const std::string& name : kHostileNames) {
    ASSERT_OK(t_rename(("renamed\nnames/" + name).c_str(), ("emptydir/" + name).c_str()));
    EXPECT_EQ(name, content_of("emptydir/" + name));
  }
  EXPECT_EQ(Names{}, names_in("renamed\nnames"));
}

TEST_F(Rename, MovesAFileThatTheCallerCannotRead) {
  ASSERT_OK(t_rename("noperm", "dir/noperm"));
  EXPECT_EQ(mode_t(S_IFREG), stat_of("dir/noperm").st_mode);
}

TEST_F(Rename, ADescriptorOfAMovedFileIsThatFile) {
  const struct stat before = stat_of("big");
  ASSERT_OK(t_rename("big", "dir/moved"));
  Fd fd(t_open("dir/moved", O_RDONLY));
  EXPECT_EQ(identity("dir/moved"), identity(fd));
  EXPECT_EQ(1u, fstat_of(fd).st_nlink);
  EXPECT_EQ(before.st_size, fstat_of(fd).st_size);
  EXPECT_EQ(before.st_blocks, stat_of("dir/moved").st_blocks);
  EXPECT_EQ(kFileTime, fstat_of(fd).st_mtim);
  ASSERT_OK(t_fchmod(fd, 0600));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("dir/moved").st_mode);
  ASSERT_OK(t_rename("dir/moved", "again"));
  const timespec times[2] = {kDirTime, kDirTime};
  ASSERT_OK(t_futimens(fd, times));
  EXPECT_EQ(kDirTime, stat_of("again").st_mtim);
  EXPECT_EQ(cwd() + "/again", target_of("/proc/self/fd/" + std::to_string(fd)));
  append_to("again", "more");
  EXPECT_EQ(before.st_size + 4, stat_of("again").st_size);
  EXPECT_EQ(identity("again"), identity(fd));
}

TEST_F(Rename, GoesOnThroughManyNames) {
  const Identity file = identity("file");
  ASSERT_OK(t_rename("file", "file2"));
  ASSERT_OK(t_rename("file2", "dir/file3"));
  ASSERT_OK(t_rename("dir", "moved"));
  ASSERT_OK(t_rename("moved/file3", "moved/sub/file4"));
  ASSERT_OK(t_mkdir("new", 0755));
  ASSERT_OK(t_rename("moved/sub", "new/sub"));
  EXPECT_EQ("hello lower\n", content_of("new/sub/file4"));
  EXPECT_EQ(file, identity("new/sub/file4"));
  ASSERT_OK(t_link("new/sub/file4", "linked"));
  EXPECT_EQ(2u, stat_of("linked").st_nlink);
  ASSERT_OK(t_rename("new/sub/file4", "file"));
  append_to("linked", "more\n");
  EXPECT_EQ("hello lower\nmore\n", content_of("file"));
  EXPECT_EQ(file, identity("file"));
}

TEST_F(Rename, MovesADirectoryThatTheCallerCannotRead) {
  ASSERT_OK(t_rename("dir_none", "none"));  // within one directory nothing of it is written
  EXPECT_EQ(mode_t(S_IFDIR), stat_of("none").st_mode);
  EXPECT_FALSE(exists("dir_none"));
}

TREE_SUITE(RenameNoreplace);

TEST_F(RenameNoreplace, RefusesWhatExists) {
  for (const char* to : {"other", "dir", "rel", "dangling", "fifo", "file", "noperm"}) {
    EXPECT_ERRNO(EEXIST, rename2("file", to, RENAME_NOREPLACE)) << to;
  }
  EXPECT_ERRNO(EEXIST, rename2("dir", "emptydir", RENAME_NOREPLACE));
  EXPECT_ERRNO(EEXIST, rename2("hard1", "hard2", RENAME_NOREPLACE));
  EXPECT_ERRNO(EEXIST, rename2("file", "dir/.", RENAME_NOREPLACE));
  EXPECT_ERRNO(ENOENT, rename2("nothing", "other", RENAME_NOREPLACE));
}

TEST_F(RenameNoreplace, MovesElse) {
  ASSERT_OK(rename2("file", "dir/new", RENAME_NOREPLACE));
  EXPECT_EQ("hello lower\n", content_of("dir/new"));
  ASSERT_OK(rename2("dir", "moved", RENAME_NOREPLACE));
  EXPECT_EQ("hello lower\n", content_of("moved/new"));
  ASSERT_OK(rename2("other", "file", RENAME_NOREPLACE));  // a name that was given up
  EXPECT_EQ("another file\n", content_of("file"));
}

TREE_SUITE(RenameExchange);

TEST_F(RenameExchange, TwoFiles) {
  Identity file = identity("file"), a = identity("dir/a");
  ASSERT_OK(rename2("file", "dir/a", RENAME_EXCHANGE));
  EXPECT_EQ(a, identity("file"));
  EXPECT_EQ(file, identity("dir/a"));
  EXPECT_EQ("a\n", content_of("file"));
  EXPECT_EQ("hello lower\n", content_of("dir/a"));
}

TEST_F(RenameExchange, TwoDirectories) {
  Identity dir = identity("dir"), dir2 = identity("dir2");
  ASSERT_OK(rename2("dir", "dir2", RENAME_EXCHANGE));
  EXPECT_EQ(dir2, identity("dir"));
  EXPECT_EQ(dir, identity("dir2"));
  EXPECT_EQ((Names{"a", "q"}), names_in("dir"));
  EXPECT_EQ(kDirNames, names_in("dir2"));
  EXPECT_EQ("z\n", content_of("dir2/sub/deeper/z"));
  ASSERT_OK(rename2("dir2/sub", "dir", RENAME_EXCHANGE));
  EXPECT_EQ((Names{"x", "y", "deeper"}), names_in("dir"));
  EXPECT_EQ("q\n", content_of("dir2/sub/q"));
  ASSERT_OK(rename2("dir2/sub", "dir", RENAME_EXCHANGE));
  ASSERT_OK(rename2("dir", "dir2", RENAME_EXCHANGE));
  EXPECT_EQ("z\n", content_of("dir/sub/deeper/z"));
  EXPECT_EQ("q\n", content_of("dir2/q"));
}

TEST_F(RenameExchange, AFileAndADirectory) {
  ASSERT_OK(rename2("file", "dir", RENAME_EXCHANGE));
  EXPECT_EQ("hello lower\n", content_of("dir"));
  EXPECT_EQ(kDirNames, names_in("file"));
  EXPECT_EQ("z\n", content_of("file/sub/deeper/z"));
}

TEST_F(RenameExchange, ASymlinkAndAFile) {
  ASSERT_OK(rename2("rel", "dir/b", RENAME_EXCHANGE));
  EXPECT_EQ("b\n", content_of("rel"));
  EXPECT_EQ("dir/a", target_of("dir/b"));
}

TEST_F(RenameExchange, OldAndNew) {
  write_file("new", "new\n");
  ASSERT_OK(t_mkdir("newdir", 0755));
  write_file("newdir/x", "x of newdir\n");
  ASSERT_OK(rename2("new", "file", RENAME_EXCHANGE));
  EXPECT_EQ("new\n", content_of("file"));
  EXPECT_EQ("hello lower\n", content_of("new"));
  ASSERT_OK(rename2("newdir", "dir", RENAME_EXCHANGE));
  EXPECT_EQ(Names{"x"}, names_in("dir"));
  EXPECT_EQ(kDirNames, names_in("newdir"));
}

TEST_F(RenameExchange, Refuses) {
  EXPECT_ERRNO(ENOENT, rename2("file", "nothing", RENAME_EXCHANGE));
  EXPECT_ERRNO(ENOENT, rename2("nothing", "file", RENAME_EXCHANGE));
  EXPECT_ERRNO(EINVAL, rename2("dir", "dir/sub", RENAME_EXCHANGE));
  EXPECT_ERRNO(EINVAL, rename2("dir/sub", "dir", RENAME_EXCHANGE));
  EXPECT_ERRNO(EINVAL, rename2("file", "other", RENAME_EXCHANGE | RENAME_NOREPLACE));
  EXPECT_ERRNO(EINVAL, rename2("file", "other", 1u << 10));
  EXPECT_ERRNO(ENOTDIR, rename2("file/", "other", RENAME_EXCHANGE));
  EXPECT_EQ("hello lower\n", content_of("file"));
}

}  // namespace
}  // namespace syscalls
