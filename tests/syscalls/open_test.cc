// open, creat, openat: access modes, creation, truncation, descriptors, permission. openat2 stands
// in openat2_test.cc.
#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

TREE_SUITE(Open);

TEST_F(Open, ReadsAFile) {
  EXPECT_EQ("hello lower\n", content_of("file"));
  EXPECT_EQ("", content_of("empty"));
  EXPECT_EQ("z\n", content_of("dir/sub/deeper/z"));
}

TEST_F(Open, ReadsWhereAnOffsetPoints) {
  Fd fd(t_open("big", O_RDONLY));
  char c[4] = {};
  EXPECT_EQ(3, pread(fd, c, 3, 0));
  EXPECT_STREQ("0\n1", c);
  EXPECT_EQ(kBigSize, lseek(fd, 0, SEEK_END));
}

TEST_F(Open, ReadsWhatTheNamesOnTheWayStandForNow) {
  // Through what only was made here, and back to what was there before.
  ASSERT_EQ(0, t_mkdir("made", 0755));
  EXPECT_EQ("hello lower\n", content_of("made/../file"));
  ASSERT_EQ(0, t_symlink("../dir", "made/in"));
  EXPECT_EQ(content_of("dir/sub/x"), content_of("made/in/sub/x"));
  EXPECT_EQ("hello lower\n", content_of("made/in/../file"));
  // A symlink that was there, and leads elsewhere now.
  EXPECT_EQ("z\n", content_of("dirlink/sub/deeper/z"));
  ASSERT_EQ(0, t_unlink("dirlink"));
  ASSERT_EQ(0, t_symlink("made", "dirlink"));
  write_file("made/only", "new");
  EXPECT_EQ("new", content_of("dirlink/only"));
  EXPECT_ERRNO(ENOENT, t_open("dirlink/sub/deeper/z", O_RDONLY));
}

TEST_F(Open, GivesTheLowestFreeDescriptor) {
  int first = t_open("file", O_RDONLY), second = t_open("dir", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(first + 1, second);
  close(first);
  EXPECT_EQ(first, t_open("other", O_RDWR));
  int third = t_open("new", O_RDWR | O_CREAT, 0600);
  EXPECT_EQ(second + 1, third);
  EXPECT_EQ(third + 1, dup(0));
  for (int fd = first; fd <= third + 1; fd++) close(fd);
}

TEST_F(Open, LeavesNoOtherDescriptorBehind) {
  auto open_descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
  };
  const int before = open_descriptors();
  for (const char* path : {"file", "dir", "big", "dir/sub/x", "no/such"}) {
    for (int flags : {O_RDONLY, O_RDWR, O_RDWR | O_TRUNC, O_PATH, O_RDONLY | O_DIRECTORY}) {
      if (int fd = t_open(path, flags); fd >= 0) close(fd);
    }
  }
  EXPECT_EQ(before, open_descriptors());
}

TEST_F(Open, SetsCloseOnExecOnlyWhenAsked) {
  for (const char* path : {"file", "dir", "absdir"}) {
    EXPECT_EQ(0, fcntl(Fd(t_open(path, O_RDONLY)), F_GETFD)) << path;
    EXPECT_EQ(FD_CLOEXEC, fcntl(Fd(t_open(path, O_RDONLY | O_CLOEXEC)), F_GETFD)) << path;
  }
  EXPECT_EQ(0, fcntl(Fd(t_open("other", O_RDWR)), F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, fcntl(Fd(t_open("script", O_RDWR | O_CLOEXEC)), F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, fcntl(Fd(t_open("new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), F_GETFD));
}

TEST_F(Open, KeepsTheStatusFlags) {
  constexpr int kAsked = O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_PATH;
  for (int flags : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_WRONLY | O_NONBLOCK,
                    O_RDWR | O_SYNC, O_PATH}) {
    EXPECT_EQ(flags, fcntl(Fd(t_open("file", flags)), F_GETFL) & kAsked) << std::oct << flags;
  }
  EXPECT_EQ(O_RDWR | O_APPEND,
            fcntl(Fd(t_open("new", O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0600)), F_GETFL) & kAsked);
}

TEST_F(Open, RefusesWhatIsAbsent) {
  EXPECT_ERRNO(ENOENT, t_open("nothing", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_open("nothing/file", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_open("dir/nothing/../a", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_open("", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_open("dangling", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_open("nothing/new", O_WRONLY | O_CREAT, 0644));
}

TEST_F(Open, RefusesAFileInThePlaceOfADirectory) {
  EXPECT_ERRNO(ENOTDIR, t_open("file/x", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_open("file/", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_open("file/.", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_open("file/..", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_open("fileslash", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_open("file", O_RDONLY | O_DIRECTORY));
  EXPECT_ERRNO(ENOTDIR, t_open("rel/x", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_open("file/x", O_WRONLY | O_CREAT, 0644));
  EXPECT_ERRNO(ENOTDIR, t_open("fifo/x", O_RDONLY));
}

TEST_F(Open, TakesSlashesAndDots) {
  for (const char* path :
       {"dir//a", "./dir/./a", ".//./dir/sub/../a", "dir/../dir/a", "dir2/../dirlink/../dir/a"}) {
    EXPECT_EQ("a\n", content_of(path)) << path;
  }
  for (const char* path :
       {"dir/", "dir//", "dir/.", "dir/sub/..", "dirlink/", "slashed", "slashed/", "absdir/."}) {
    EXPECT_EQ(identity("dir"), identity(Fd(t_open(path, O_RDONLY)))) << path;
  }
}

TEST_F(Open, OpensADirectoryForReadingOnly) {
  Fd fd(t_open("dir", O_RDONLY));
  char c;
  EXPECT_ERRNO(EISDIR, read(fd, &c, 1));
  for (int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_CREAT, O_RDWR | O_CREAT}) {
    EXPECT_ERRNO(EISDIR, t_open("dir", flags, 0644)) << flags;
    EXPECT_ERRNO(EISDIR, t_open("dirlink", flags, 0644)) << flags;
  }
  EXPECT_ERRNO(EISDIR, t_open("dir", O_RDONLY | O_TRUNC));
  EXPECT_ERRNO(EISDIR, t_open("new/", O_WRONLY | O_CREAT, 0644));
  EXPECT_FALSE(exists("new"));
}

TEST_F(Open, FollowsSymlinks) {
  for (const char* path : {"rel", "abs", "dotted", "dir/link", "dirlink/a", "absdir/link"})
    EXPECT_EQ("a\n", content_of(path)) << path;
  EXPECT_EQ("x\n", content_of("dirlink2/x"));
  EXPECT_EQ("b\n", content_of("dirlink2/../b"));  // ".." of where the symlink leads
  EXPECT_EQ("hello lower\n", content_of("dir/up"));
  EXPECT_EQ("hello lower\n", content_of("toroot/" + cwd() + "/file"));
}

TEST_F(Open, GivesUpOnLoops) {
  for (const char* path : {"loop", "loop1", "loop/x", "loop1/"}) {
    EXPECT_ERRNO(ELOOP, t_open(path, O_RDONLY)) << path;
    EXPECT_ERRNO(ELOOP, t_open(path, O_WRONLY)) << path;
  }
  EXPECT_ERRNO(ELOOP, t_open("loop1", O_WRONLY | O_CREAT, 0644));
}

PREPARE(Open, FollowsFortySymlinksAndNoMore) {
  if (mkdir("chain", 0755) < 0) abort();
  write_file("chain/0", "end of the chain\n");
  for (int i = 1; i <= 41; i++) {
    if (symlink(std::to_string(i - 1).c_str(), ("chain/" + std::to_string(i)).c_str()) < 0) abort();
  }
}

// The kernel counts on when it has to begin a walk again, since something was renamed meanwhile
// anywhere (path_openat(), LOOKUP_RCU): then forty are too many.
TEST_F(Open, FollowsFortySymlinksAndNoMore) {
  EXPECT_EQ("end of the chain\n", content_of("chain/13"));
  int fd = -1;
  for (int i = 0; i < 1000 && fd < 0; i++) fd = t_open("chain/40", O_RDONLY);
  EXPECT_EQ("end of the chain\n", read_all(Fd(fd)));
  EXPECT_ERRNO(ELOOP, t_open("chain/41", O_RDONLY));
}

TEST_F(Open, NofollowStopsAtASymlink) {
  EXPECT_ERRNO(ELOOP, t_open("rel", O_RDONLY | O_NOFOLLOW));
  EXPECT_ERRNO(ELOOP, t_open("abs", O_RDWR | O_NOFOLLOW));
  EXPECT_ERRNO(ELOOP, t_open("dangling", O_RDONLY | O_NOFOLLOW));
  EXPECT_ERRNO(ENOTDIR, t_open("dirlink", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
  EXPECT_OK(Fd(t_open("dirlink/a", O_RDONLY | O_NOFOLLOW)));  // only the last name counts
  EXPECT_OK(Fd(t_open("dirlink/", O_RDONLY | O_NOFOLLOW)));
}

TEST_F(Open, RefusesLongNamesAndPaths) {
  EXPECT_ERRNO(ENAMETOOLONG, t_open((kLongName + "n").c_str(), O_RDONLY));
  EXPECT_ERRNO(ENAMETOOLONG, t_open((kLongName + "n").c_str(), O_WRONLY | O_CREAT, 0644));
  EXPECT_ERRNO(ENAMETOOLONG, t_open(("dir/" + kLongName + "n/x").c_str(), O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_open(kLongName.c_str(), O_RDONLY));
  std::string path;
  while (path.size() + 6 < PATH_MAX) path += "./";
  path.resize(path.size() - path.size() % 2);
  while (path.size() < PATH_MAX - 1 - 4) path += "/";
  path += "file";
  ASSERT_EQ(PATH_MAX - 1, int(path.size()));
  EXPECT_EQ("hello lower\n", content_of(path));
  EXPECT_ERRNO(ENAMETOOLONG, t_open(("." + path).c_str(), O_RDONLY));
  EXPECT_ERRNO(ENAMETOOLONG, t_open(std::string(PATH_MAX, '/').c_str(), O_RDONLY));
}

TEST_F(Open, CreatesAFile) {
  {
    Fd fd(t_open("dir/new", O_RDWR | O_CREAT, 0666));
    EXPECT_EQ(4, write(fd, "new\n", 4));
  }
  struct stat st = stat_of("dir/new");
  EXPECT_EQ(mode_t(S_IFREG | 0644), st.st_mode);  // the umask is 022
  EXPECT_EQ(geteuid(), st.st_uid);
  EXPECT_EQ(1u, st.st_nlink);
  EXPECT_EQ("new\n", content_of("dir/new"));
  EXPECT_TRUE(names_in("dir").contains("new"));
}

TEST_F(Open, CreatesWithAnyMode) {
  umask(0);
  for (mode_t mode : {0u, 0400u, 0222u, 0640u, 0777u, 01644u, 04755u, 06711u}) {
    std::string path = "mode" + std::to_string(mode);
    {
      Fd fd(t_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL,
                   mode));  // even where the mode refuses the next open
      EXPECT_EQ(1, write(fd, "x", 1));
    }
    mode_t kept = mode & 07777;
    if (mode & 06000) kept = stat_of(path).st_mode & 07777;  // a write may drop set-id bits
    EXPECT_EQ(S_IFREG | kept, stat_of(path).st_mode) << path;
  }
  Fd fd(t_creat("created", 0444));
  EXPECT_EQ(1, write(fd, "x", 1));
  EXPECT_EQ(mode_t(S_IFREG | 0444), stat_of("created").st_mode);
}

TEST_F(Open, IgnoresTheModeOfAnExistingFile) {
  { Fd fd(t_open("file", O_RDWR | O_CREAT, 0777)); }
  EXPECT_EQ(mode_t(S_IFREG | 0644), stat_of("file").st_mode);
  EXPECT_EQ("hello lower\n", content_of("file"));
}

TEST_F(Open, ExclusiveCreationRefusesWhatExists) {
  for (const char* path :
       {"file", "dir", "rel", "dangling", "dangling1", "loop", "fifo", "noperm", "."}) {
    EXPECT_ERRNO(EEXIST, t_open(path, O_WRONLY | O_CREAT | O_EXCL, 0644)) << path;
  }
  EXPECT_FALSE(exists("tobemade"));
  EXPECT_OK(Fd(t_open("fresh", O_WRONLY | O_CREAT | O_EXCL, 0644)));
  EXPECT_ERRNO(EEXIST, t_open("fresh", O_WRONLY | O_CREAT | O_EXCL, 0644));
}

TEST_F(Open, CreatesWhereADanglingSymlinkPoints) {
  { Fd fd(t_open("dangling1", O_WRONLY | O_CREAT, 0600)); }
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("tobemade").st_mode);
  EXPECT_TRUE(S_ISLNK(stat_of("dangling1").st_mode));
  EXPECT_ERRNO(ENOENT, t_open("dangling", O_WRONLY | O_CREAT, 0644));
}

TEST_F(Open, CreatesWhereAFileWasRemoved) {
  ASSERT_OK(t_unlink("dir/a"));
  EXPECT_ERRNO(ENOENT, t_open("dir/a", O_RDWR));
  { Fd fd(t_open("dir/a", O_WRONLY | O_CREAT | O_EXCL, 0600)); }
  EXPECT_EQ("", content_of("dir/a"));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("dir/a").st_mode);
}

TEST_F(Open, CreatesInADirectoryThatWasRemovedAndMadeAgain) {
  ASSERT_OK(t_rmdir("emptydir"));
  EXPECT_ERRNO(ENOENT, t_open("emptydir/new", O_WRONLY | O_CREAT, 0644));
  ASSERT_OK(t_mkdir("emptydir", 0755));
  write_file("emptydir/new", "again");
  EXPECT_EQ("again", content_of("emptydir/new"));
}

TEST_F(Open, CreatesWithTheGroupOfASetgidDirectory) {
  { Fd fd(t_open("setgid/new", O_WRONLY | O_CREAT, 0644)); }
  EXPECT_EQ(stat_of("setgid").st_gid, stat_of("setgid/new").st_gid);
}

TEST_F(Open, WritesInPlace) {
  Identity before = identity("file");
  {
    Fd fd(t_open("file", O_WRONLY));
    EXPECT_EQ(5, write(fd, "HELLO", 5));
  }
  EXPECT_EQ("HELLO lower\n", content_of("file"));
  EXPECT_EQ(before, identity("file"));
  EXPECT_EQ(mode_t(S_IFREG | 0644), stat_of("file").st_mode);
}

TEST_F(Open, WritesThroughSymlinks) {
  append_to("abs", "more\n");
  EXPECT_EQ("a\nmore\n", content_of("dir/a"));
  append_to("dirlink2/../b", "more\n");
  EXPECT_EQ("b\nmore\n", content_of("dir/b"));
  append_to("dir/up", "more\n");
  EXPECT_EQ("hello lower\nmore\n", content_of("file"));
  EXPECT_TRUE(S_ISLNK(stat_of("abs").st_mode));
}

TEST_F(Open, AppendsAtTheEnd) {
  Fd fd(t_open("file", O_RDWR | O_APPEND));
  EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
  EXPECT_EQ(4, write(fd, "end\n", 4));
  EXPECT_EQ("hello lower\nend\n", content_of("file"));
}

TEST_F(Open, ForWritingChangesNothingYet) {
  struct stat before = stat_of("big");
  {
    Fd fd(t_open("big", O_RDWR));
  }
  struct stat after = stat_of("big");
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(before.st_dev, after.st_dev);
  EXPECT_EQ(before.st_mtim, after.st_mtim);
  EXPECT_EQ(before.st_size, after.st_size);
  EXPECT_EQ(before.st_mode, after.st_mode);
  std::string content = content_of("big");
  EXPECT_EQ(kBigSize, off_t(content.size()));
  EXPECT_EQ("0\n1\n2\n", content.substr(0, 6));
}

TEST_F(Open, TruncatesToNothing) {
  Identity before = identity("big");
  { Fd fd(t_open("big", O_WRONLY | O_TRUNC)); }
  EXPECT_EQ(0, stat_of("big").st_size);
  EXPECT_EQ(before, identity("big"));
  EXPECT_LT(kFileTime.tv_sec, stat_of("big").st_mtim.tv_sec);
  { Fd fd(t_creat("file", 0600)); }
  EXPECT_EQ(mode_t(S_IFREG | 0644), stat_of("file").st_mode);
  EXPECT_EQ("", content_of("file"));
  { Fd fd(t_open("other", O_RDONLY | O_TRUNC)); }  // Linux truncates
  EXPECT_EQ(0, stat_of("other").st_size);
}

TEST_F(Open, KeepsHolesOfASparseFile) {
  {
    Fd fd(t_open("sparse", O_RDWR));
    EXPECT_EQ(1, pwrite(fd, "!", 1, 0));
    char island[8] = {};
    EXPECT_EQ(ssize_t(kSparseData.size()), pread(fd, island, kSparseData.size(), kSparseAt));
    EXPECT_EQ(kSparseData, island);
  }
  EXPECT_EQ(kSparseSize, stat_of("sparse").st_size);
  EXPECT_GT(256, stat_of("sparse").st_blocks);
}

TEST_F(Open, RefusesWithoutPermission) {
  if (geteuid() == 0) GTEST_SKIP() << "root may do everything";
  EXPECT_ERRNO(EACCES, t_open("noperm", O_RDONLY));
  EXPECT_ERRNO(EACCES, t_open("noperm", O_WRONLY));
  EXPECT_ERRNO(EACCES, t_open("readonly", O_WRONLY));
  EXPECT_ERRNO(EACCES, t_open("readonly", O_RDWR | O_CREAT, 0644));
  EXPECT_ERRNO(EACCES, t_open("readonly", O_RDONLY | O_TRUNC));
  EXPECT_EQ("read only\n", content_of("readonly"));
  EXPECT_ERRNO(EACCES, t_open("dir_none/inside", O_RDONLY));
  EXPECT_ERRNO(EACCES, t_open("dir_none/nothing", O_RDONLY));
  EXPECT_ERRNO(EACCES, t_open("dir_none/new", O_WRONLY | O_CREAT, 0644));
  EXPECT_ERRNO(EACCES, t_open("dir_noexec/inside", O_RDONLY));
  EXPECT_ERRNO(EACCES, t_open("dir_none", O_RDONLY));
  EXPECT_ERRNO(EACCES, t_open("dir_noread", O_RDONLY | O_DIRECTORY));
  EXPECT_EQ("inside\n", content_of("dir_noread/inside"));  // search is enough
  EXPECT_ERRNO(EACCES, t_open("dir_ro/new", O_WRONLY | O_CREAT, 0644));
  append_to("dir_ro/inside", "more\n");  // an existing file needs nothing of its directory
  EXPECT_EQ("inside\nmore\n", content_of("dir_ro/inside"));
}

TEST_F(Open, RefusesWhatChmodTookAway) {
  if (geteuid() == 0) GTEST_SKIP() << "root may do everything";
  ASSERT_OK(t_chmod("file", 0));
  EXPECT_ERRNO(EACCES, t_open("file", O_RDONLY));
  EXPECT_ERRNO(EACCES, t_open("file", O_WRONLY));
  ASSERT_OK(t_chmod("file", 0400));
  EXPECT_EQ("hello lower\n", content_of("file"));
  EXPECT_ERRNO(EACCES, t_open("file", O_RDWR));
  ASSERT_OK(t_chmod("dir", 0600));
  EXPECT_ERRNO(EACCES, t_open("dir/a", O_RDONLY));
  ASSERT_OK(t_chmod("dir", 0500));
  EXPECT_EQ("a\n", content_of("dir/a"));
  EXPECT_ERRNO(EACCES, t_open("dir/new", O_WRONLY | O_CREAT, 0644));
  write_file("dir2/new", "new");
  ASSERT_OK(t_chmod("dir2/new", 0));
  EXPECT_ERRNO(EACCES, t_open("dir2/new", O_RDONLY));
  ASSERT_OK(t_chmod("dir2/new", 0600));
  EXPECT_EQ("new", content_of("dir2/new"));
}

TEST_F(Open, AtADirectoryDescriptor) {
  Fd dir(t_open("dir", O_RDONLY | O_DIRECTORY));
  Fd path_only(t_open("dir", O_PATH));
  for (int at : {int(dir), int(path_only)}) {
    char c[3] = {};
    EXPECT_EQ(2, read(Fd(t_openat(at, "a", O_RDONLY)), c, 2));
    EXPECT_STREQ("a\n", c);
    EXPECT_OK(Fd(t_openat(at, "../file", O_RDWR)));
    EXPECT_OK(Fd(t_openat(at, ".", O_RDONLY)));
    EXPECT_OK(Fd(t_openat(at, (cwd() + "/file").c_str(), O_RDONLY)));
    EXPECT_ERRNO(ENOENT, t_openat(at, "nothing", O_RDONLY));
  }
  { Fd fd(t_openat(dir, "made", O_WRONLY | O_CREAT, 0644)); }
  EXPECT_TRUE(exists("dir/made"));
  EXPECT_OK(Fd(t_openat(dir, "made", O_RDONLY)));
  EXPECT_OK(Fd(t_openat(AT_FDCWD, "dir/made", O_RDONLY)));
}

TEST_F(Open, AtAWrongDescriptor) {
  Fd file(t_open("file", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_openat(file, "x", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_openat(file, ".", O_RDONLY));
  EXPECT_ERRNO(ENOENT, t_openat(file, "", O_RDONLY));
  EXPECT_ERRNO(EBADF, t_openat(-1, "file", O_RDONLY));
  EXPECT_ERRNO(EBADF, t_openat(9999, "file", O_RDWR));
  EXPECT_OK(
      Fd(t_openat(-1, (cwd() + "/file").c_str(), O_RDWR)));  // an absolute path needs no start
  int pipes[2];
  ASSERT_EQ(0, pipe(pipes));
  EXPECT_ERRNO(ENOTDIR, t_openat(pipes[0], "x", O_RDONLY));
  close(pipes[0]);
  close(pipes[1]);
}

TEST_F(Open, PathDescriptorsNameTheObject) {
  Fd fd(t_open("noperm", O_PATH));
  char c;
  EXPECT_ERRNO(EBADF, read(fd, &c, 1));
  EXPECT_EQ(identity("noperm"), identity(fd));
  EXPECT_EQ(identity("fifo"), identity(Fd(t_open("fifo", O_PATH))));  // does not wait for a writer
  EXPECT_EQ(identity("socket"), identity(Fd(t_open("socket", O_PATH))));
  Fd link(t_open("rel", O_PATH | O_NOFOLLOW));
  EXPECT_EQ(identity("rel"), identity(link));
  char target[64] = {};
  EXPECT_EQ(5, t_readlinkat(link, "", target, sizeof target));
  EXPECT_STREQ("dir/a", target);
}

TEST_F(Open, FifosAndSocketsBehaveAsTheyDo) {
  Fd reader(t_open("fifo", O_RDONLY | O_NONBLOCK));
  Fd writer(t_open("fifo", O_WRONLY | O_NONBLOCK));
  EXPECT_EQ(2, write(writer, "hi", 2));
  char c[2];
  EXPECT_EQ(2, read(reader, c, 2));
  EXPECT_ERRNO(ENXIO, t_open("socket", O_RDWR));
  ASSERT_OK(t_mknod("fifo2", S_IFIFO | 0600, 0));
  EXPECT_ERRNO(ENXIO, t_open("fifo2", O_WRONLY | O_NONBLOCK));
}

TEST_F(Open, AFifoConnectsTwoProcesses) {
  pid_t child = fork();
  if (child == 0) {
    int fd = t_open("fifo", O_WRONLY);  // waits for the reader
    _exit(fd >= 0 && write(fd, "through", 7) == 7 ? 0 : 1);
  }
  EXPECT_EQ("through", content_of("fifo"));
  int status;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
}

TEST_F(Open, HostileNames) {
  for (const std::string& name : kHostileNames) {
    EXPECT_EQ(name, content_of("names/" + name));
    append_to("names/" + name, "+");
    EXPECT_EQ(name + "+", content_of("names/" + name));
    write_file("emptydir/" + name, "new");
  }
  EXPECT_EQ(Names(kHostileNames.begin(), kHostileNames.end()), names_in("names"));
  EXPECT_EQ(Names(kHostileNames.begin(), kHostileNames.end()), names_in("emptydir"));
}

TEST_F(Open, AnUnlinkedFileStaysReadable) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_OK(t_unlink("file"));
  EXPECT_EQ("hello lower\n", read_all(fd));
  write_file("file", "a new one\n");
  EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
  EXPECT_EQ("hello lower\n", read_all(fd));
}

TEST_F(Open, AnUnlinkedFileStaysWritable) {
  Fd fd(t_open("file", O_RDWR));
  ASSERT_OK(t_unlink("file"));
  EXPECT_EQ(3, pwrite(fd, "abc", 3, 0));
  EXPECT_EQ("abclo lower\n", read_all(fd));
  EXPECT_FALSE(exists("file"));
}

}  // namespace
}  // namespace syscalls
