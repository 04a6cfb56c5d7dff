// chmod, chown, the utime family, truncate, inode flags.
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

mode_t mode_of(const std::string& path) { return stat_of(path).st_mode & 07777; }

TREE_SUITE(Chmod);

TEST_F(Chmod, ChangesTheModeAndNothingElse) {
  for (const char* path : {"file", "big", "sparse", "dir/sub/deeper/z"}) {
    struct stat before = stat_of(path);
    std::string content = content_of(path);
    ASSERT_OK(t_chmod(path, 0640));
    struct stat after = stat_of(path);
    EXPECT_EQ(mode_t(S_IFREG | 0640), after.st_mode) << path;
    EXPECT_EQ(before.st_ino, after.st_ino) << path;
    EXPECT_EQ(before.st_size, after.st_size) << path;
    EXPECT_EQ(before.st_blocks, after.st_blocks) << path;
    EXPECT_EQ(before.st_mtim, after.st_mtim) << path;
    EXPECT_LT(before.st_ctim.tv_sec * 1'000'000'000 + before.st_ctim.tv_nsec - 1,
              after.st_ctim.tv_sec * 1'000'000'000 + after.st_ctim.tv_nsec)
        << path;
    EXPECT_EQ(before.st_nlink, after.st_nlink) << path;
    EXPECT_TRUE(content == content_of(path)) << path;
  }
}

TEST_F(Chmod, TakesEveryMode) {
  for (mode_t mode : {0u, 0111u, 0222u, 0400u, 0444u, 0604u, 0777u, 01777u, 02755u, 04755u, 06777u,
                      07000u, 0644u}) {
    ASSERT_OK(t_chmod("file", mode));
    EXPECT_EQ(mode, mode_of("file")) << std::oct << mode;
    ASSERT_OK(t_chmod("dir", mode));
    EXPECT_EQ(mode, mode_of("dir")) << std::oct << mode;
  }
  ASSERT_OK(t_chmod("file", S_IFDIR | 0600));  // the type in it is ignored
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("file").st_mode);
}

TEST_F(Chmod, OfDirectoriesKeepsTheContents) {
  Names names = names_in("dir");
  ASSERT_OK(t_chmod("dir", 0700));
  EXPECT_EQ(0700u, mode_of("dir"));
  EXPECT_EQ(kDirTime, stat_of("dir").st_mtim);
  EXPECT_EQ(names, names_in("dir"));
}

TEST_F(Chmod, FollowsSymlinks) {
  ASSERT_OK(t_chmod("rel", 0600));
  EXPECT_EQ(0600u, mode_of("dir/a"));
  EXPECT_EQ(0777u, mode_of("rel"));
  ASSERT_OK(t_chmod("absdir/b", 0640));
  EXPECT_EQ(0640u, mode_of("dir/b"));
}

TEST_F(Chmod, AllSpellings) {
  Fd dir(t_open("dir", O_PATH)), a(t_open("dir/a", O_RDONLY)), b(t_open("dir/b", O_RDWR)),
      made(t_open("new", O_CREAT | O_RDWR, 0600));
  ASSERT_OK(t_fchmodat(dir, "c", 0600));
  EXPECT_EQ(0600u, mode_of("dir/c"));
  ASSERT_OK(t_fchmod(a, 0400));
  EXPECT_EQ(0400u, mode_of("dir/a"));
  ASSERT_OK(t_fchmod(b, 0444));
  EXPECT_EQ(0444u, mode_of("dir/b"));
  EXPECT_EQ(1, write(b, "B", 1));  // what is open stays open
  ASSERT_OK(t_fchmod(made, 0));
  EXPECT_EQ(0u, mode_of("new"));
  EXPECT_EQ(1, write(made, "x", 1));
  Fd open_dir(t_open("dir2", O_RDONLY));
  ASSERT_OK(t_fchmod(open_dir, 0711));
  EXPECT_EQ(0711u, mode_of("dir2"));
}

TEST_F(Chmod, TheNewCallTakesFlags) {
  int result = t_fchmodat2(AT_FDCWD, "file", 0600, 0);
  if (result < 0 && errno == ENOSYS) GTEST_SKIP() << "fchmodat2 needs Linux 6.6";
  EXPECT_EQ(0600u, mode_of("file"));
  Fd path_only(t_open("dir/a", O_PATH));
  ASSERT_OK(t_fchmodat2(path_only, "", 0640, AT_EMPTY_PATH));
  EXPECT_EQ(0640u, mode_of("dir/a"));
  ASSERT_OK(t_fchmodat2(AT_FDCWD, "file", 0604, AT_SYMLINK_NOFOLLOW));
  EXPECT_EQ(0604u, mode_of("file"));
  EXPECT_ERRNO(EOPNOTSUPP, t_fchmodat2(AT_FDCWD, "rel", 0600, AT_SYMLINK_NOFOLLOW));
  EXPECT_ERRNO(EINVAL, t_fchmodat2(AT_FDCWD, "file", 0600, 0x40000000));
  EXPECT_ERRNO(ENOENT, t_fchmodat2(path_only, "", 0600, 0));
}

TEST_F(Chmod, Refuses) {
  EXPECT_ERRNO(ENOENT, t_chmod("nothing", 0600));
  EXPECT_ERRNO(ENOENT, t_chmod("dangling", 0600));
  EXPECT_ERRNO(ENOENT, t_chmod("", 0600));
  EXPECT_ERRNO(ENOTDIR, t_chmod("file/", 0600));
  EXPECT_ERRNO(ELOOP, t_chmod("loop", 0600));
  EXPECT_ERRNO(EBADF, t_fchmod(-1, 0600));
  Fd path_only(t_open("file", O_PATH));
  if (other_libc()) {  // musl then goes through /proc/self/fd
    EXPECT_OK(t_fchmod(path_only, 0600));
    EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("file").st_mode);
  } else {
    EXPECT_ERRNO(EBADF, t_fchmod(path_only, 0600));
  }
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_chmod("dir_none/inside", 0600));
}

TEST_F(Chmod, AClosedDirectoryOpensAgain) {
  ASSERT_OK(t_chmod("dir", 0));
  if (geteuid() != 0) {
    struct stat st;
    EXPECT_ERRNO(EACCES, t_stat("dir/a", &st));
    EXPECT_ERRNO(EACCES, t_open("dir", O_RDONLY));
  }
  ASSERT_OK(t_chmod("dir", 0755));
  EXPECT_EQ("z\n", content_of("dir/sub/deeper/z"));
}

TEST_F(Chmod, WhatWasNeverReadableOpens) {
  ASSERT_OK(t_chmod("dir_none", 0700));
  EXPECT_EQ("inside\n", content_of("dir_none/inside"));
  EXPECT_EQ(Names{"inside"}, names_in("dir_none"));
  ASSERT_OK(t_chmod("noperm", 0600));
  EXPECT_EQ("nobody reads this\n", content_of("noperm"));
}

TEST_F(Chmod, AWriteDropsSetuid) {
  ASSERT_OK(t_chmod("script", 06755));
  if (geteuid() == 0) return;  // root keeps them
  append_to("script", "# more\n");
  EXPECT_EQ(0755u, mode_of("script"));
}

TEST_F(Chmod, OfAFileThatWasRenamedSince) {
  Fd fd(t_open("dir/a", O_RDONLY));
  ASSERT_OK(t_rename("dir/a", "dir2/moved"));
  ASSERT_OK(t_fchmod(fd, 0600));
  EXPECT_EQ(0600u, mode_of("dir2/moved"));
}

TEST_F(Chmod, OfAFileThatWasRemovedSince) {
  Fd removed(t_open("dir/b", O_RDONLY));
  ASSERT_OK(t_unlink("dir/b"));
  write_file("dir/b", "another");
  t_fchmod(removed, 0600);             // of an object without a name: whatever it says,
  EXPECT_EQ(0644u, mode_of("dir/b"));  // not of its successor
}

TREE_SUITE(Chown);

TEST_F(Chown, ToOneself) {
  for (const char* path : {"file", "dir", "rel", "fifo"}) {
    ASSERT_OK(t_chown(path, geteuid(), getegid())) << path;
    ASSERT_OK(t_lchown(path, -1, -1)) << path;
    EXPECT_EQ(geteuid(), stat_of(path).st_uid) << path;
  }
  Fd fd(t_open("dir/a", O_RDONLY)), path_only(t_open("dir/b", O_PATH)),
      dir(t_open("dir", O_RDONLY));
  ASSERT_OK(t_fchown(fd, geteuid(), -1));
  ASSERT_OK(t_fchownat(path_only, "", geteuid(), getegid(), AT_EMPTY_PATH));
  ASSERT_OK(t_fchownat(dir, "link", -1, getegid(), AT_SYMLINK_NOFOLLOW));
  EXPECT_EQ("a\n", content_of("dir/a"));
  EXPECT_EQ(kFileTime, stat_of("file").st_mtim);
}

TEST_F(Chown, ToOthersIsRefused) {
  if (geteuid() == 0) GTEST_SKIP() << "root may do everything";
  EXPECT_ERRNO(EPERM, t_chown("file", 0, -1));
  EXPECT_ERRNO(EPERM, t_chown("file", -1, 0));
  EXPECT_ERRNO(EPERM, t_lchown("rel", 12345, 12345));
  EXPECT_ERRNO(EPERM, t_fchown(Fd(t_open("file", O_RDWR)), 0, 0));
  EXPECT_EQ(geteuid(), stat_of("file").st_uid);
  EXPECT_EQ(getegid(), stat_of("file").st_gid);
}

TEST_F(Chown, Refuses) {
  EXPECT_ERRNO(ENOENT, t_chown("nothing", -1, -1));
  EXPECT_ERRNO(ENOENT, t_chown("dangling", -1, -1));
  EXPECT_OK(t_lchown("dangling", -1, -1));
  EXPECT_ERRNO(EBADF, t_fchown(-1, -1, -1));
  if (!other_libc()) {
    EXPECT_ERRNO(EBADF, t_fchown(Fd(t_open("file", O_PATH)), -1, -1));
  }
  EXPECT_ERRNO(EINVAL, t_fchownat(AT_FDCWD, "file", -1, -1, 0x40000000));
  EXPECT_ERRNO(ENOTDIR, t_chown("file/", -1, -1));
}

TEST_F(Chown, DropsSetuid) {
  if (geteuid() == 0) GTEST_SKIP() << "root keeps it";
  ASSERT_OK(t_chmod("script", 06755));
  ASSERT_OK(t_chown("script", -1, getegid()));
  EXPECT_EQ(0755u, mode_of("script"));
}

TREE_SUITE(Times);

constexpr timespec kOne = {1'000'000'001, 111'111'111}, kTwo = {1'100'000'002, 222'222'222};

void expect_now(const timespec& t) {
  EXPECT_LE(time(nullptr) - 60, t.tv_sec);
  EXPECT_GE(time(nullptr) + 60, t.tv_sec);
}

TEST_F(Times, AreSetToTheNanosecond) {
  const timespec times[2] = {kOne, kTwo};
  for (const char* path : {"file", "dir", "fifo", "dir/sub/x"}) {
    ASSERT_OK(t_utimensat(AT_FDCWD, path, times, 0)) << path;
    EXPECT_EQ(kTwo, stat_of(path).st_mtim) << path;
    EXPECT_EQ(kOne, stat_of(path).st_atim) << path;
    expect_now(stat_of(path).st_ctim);
  }
  EXPECT_EQ("hello lower\n", content_of("file"));
  ASSERT_OK(t_utimensat(AT_FDCWD, "rel", times, AT_SYMLINK_NOFOLLOW));
  EXPECT_EQ(kTwo, stat_of("rel").st_mtim);
  EXPECT_EQ(kFileTime, stat_of("dir/a").st_mtim);
  ASSERT_OK(t_utimensat(AT_FDCWD, "rel", times, 0));
  EXPECT_EQ(kTwo, stat_of("dir/a").st_mtim);
}

TEST_F(Times, OmitAndNow) {
  const timespec only_mtime[2] = {{0, UTIME_OMIT}, kTwo}, only_atime[2] = {kOne, {0, UTIME_OMIT}};
  ASSERT_OK(t_utimensat(AT_FDCWD, "file", only_mtime, 0));
  EXPECT_EQ(kTwo, stat_of("file").st_mtim);
  ASSERT_OK(t_utimensat(AT_FDCWD, "file", only_atime, 0));
  EXPECT_EQ(kTwo, stat_of("file").st_mtim);
  EXPECT_EQ(kOne, stat_of("file").st_atim);
  const timespec none[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}},
                 now[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  ASSERT_OK(t_utimensat(AT_FDCWD, "dir/a", none, 0));
  EXPECT_EQ(kFileTime, stat_of("dir/a").st_mtim);
  ASSERT_OK(t_utimensat(AT_FDCWD, "dir/a", now, 0));
  expect_now(stat_of("dir/a").st_mtim);
  ASSERT_OK(t_utimensat(AT_FDCWD, "dir/b", nullptr, 0));
  expect_now(stat_of("dir/b").st_mtim);
  expect_now(stat_of("dir/b").st_atim);
}

TEST_F(Times, AllSpellings) {
  const utimbuf seconds = {10, 20};
  ASSERT_OK(t_utime("file", &seconds));
  EXPECT_EQ((timespec{20, 0}), stat_of("file").st_mtim);
  ASSERT_OK(t_utime("file", nullptr));
  expect_now(stat_of("file").st_mtim);
  const timeval micros[2] = {{30, 1}, {40, 2}};
  ASSERT_OK(t_utimes("dir/a", micros));
  EXPECT_EQ((timespec{40, 2000}), stat_of("dir/a").st_mtim);
  ASSERT_OK(t_utimes("dir/a", nullptr));
  expect_now(stat_of("dir/a").st_mtim);
  Fd dir(t_open("dir", O_PATH));
  ASSERT_OK(t_futimesat(dir, "b", micros));
  EXPECT_EQ((timespec{30, 1000}), stat_of("dir/b").st_atim);
  const timespec nanos[2] = {kOne, kTwo};
  Fd read_only(t_open("dir/c", O_RDONLY)), open_dir(t_open("dir2", O_RDONLY));
  ASSERT_OK(t_futimens(read_only, nanos));
  EXPECT_EQ(kTwo, stat_of("dir/c").st_mtim);
  ASSERT_OK(t_futimens(open_dir, nanos));
  EXPECT_EQ(kTwo, stat_of("dir2").st_mtim);
  Fd written(t_open("big", O_RDWR));
  ASSERT_OK(t_futimens(written, nanos));
  EXPECT_EQ(kTwo, stat_of("big").st_mtim);
}

TEST_F(Times, OfDescriptorsByTheEmptyPath) {
  const timespec times[2] = {kOne, kTwo};
  Fd path_only(t_open("file", O_PATH)), link(t_open("rel", O_PATH | O_NOFOLLOW));
  EXPECT_OK(t_utimensat(path_only, "", times, AT_EMPTY_PATH));
  EXPECT_EQ(kTwo, stat_of("file").st_mtim);
  EXPECT_OK(t_utimensat(link, "", times, AT_EMPTY_PATH));
  EXPECT_EQ(kTwo, stat_of("rel").st_mtim);
}

TEST_F(Times, Refuses) {
  const timespec bad[2] = {{0, 2'000'000'000}, {0, 0}};
  EXPECT_ERRNO(EINVAL, t_utimensat(AT_FDCWD, "file", bad, 0));
  EXPECT_ERRNO(EINVAL, t_utimensat(AT_FDCWD, "file", nullptr, 0x40000000));
  EXPECT_ERRNO(ENOENT, t_utimensat(AT_FDCWD, "nothing", nullptr, 0));
  EXPECT_ERRNO(ENOENT, t_utimensat(AT_FDCWD, "dangling", nullptr, 0));
  EXPECT_ERRNO(EBADF, t_futimens(-1, nullptr));
  EXPECT_ERRNO(EBADF, t_futimens(Fd(t_open("file", O_PATH)), nullptr));
  const timeval bad_micros[2] = {{0, 1'000'000}, {0, 0}};
  EXPECT_ERRNO(EINVAL, t_utimes("file", bad_micros));
  EXPECT_EQ(kFileTime, stat_of("file").st_mtim);
}

TEST_F(Times, OwnersMayAlways) {
  const timespec times[2] = {kOne, kTwo};
  for (const char* path : {"noperm", "readonly", "dir_none"}) {
    ASSERT_OK(t_utimensat(AT_FDCWD, path, times, 0)) << path;
    EXPECT_EQ(kTwo, stat_of(path).st_mtim) << path;
    ASSERT_OK(t_utimensat(AT_FDCWD, path, nullptr, 0)) << path;
  }
  EXPECT_EQ(0u, mode_of("noperm"));
}

TEST_F(Times, OfADirectoryMoveWithItsNames) {
  write_file("dir/new", "");
  expect_now(stat_of("dir").st_mtim);
  ASSERT_OK(t_unlink("dir2/q"));
  expect_now(stat_of("dir2").st_mtim);
  ASSERT_OK(t_chmod("dir/sub/x", 0600));
  EXPECT_EQ(kDirTime, stat_of("dir/sub").st_mtim);  // a change of an entry is none of the directory
  append_to("dir/sub/y", "more");
  EXPECT_EQ(kDirTime, stat_of("dir/sub").st_mtim);
  expect_now(stat_of("dir/sub/y").st_mtim);
}

TREE_SUITE(Truncate);

TEST_F(Truncate, ShrinksAndGrows) {
  ASSERT_OK(t_truncate("big", 6));
  EXPECT_EQ("0\n1\n2\n", content_of("big"));
  ASSERT_OK(t_truncate("big", 8));
  EXPECT_EQ("0\n1\n2\n\0\0"s, content_of("big"));
  ASSERT_OK(t_truncate("dirlink/a", 0));
  EXPECT_EQ("", content_of("dir/a"));
  ASSERT_OK(t_truncate("empty", 1 << 20));
  EXPECT_EQ(1 << 20, stat_of("empty").st_size);
  EXPECT_GT(100, stat_of("empty").st_blocks);
  ASSERT_OK(t_truncate("file", 12));  // to its own size
  EXPECT_EQ("hello lower\n", content_of("file"));
}

// In a process that may make no file of more than 1000 bytes.
int truncate_limited(const char* path, off_t size, void (*action)(int)) {
  return in_child([=] {
    const rlimit most = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &most);
    signal(SIGXFSZ, action);
    return t_truncate(path, size) == 0 ? 0 : errno;
  });
}

TEST_F(Truncate, KeepsToTheLimitOfFileSizes) {
  EXPECT_EQ(0, truncate_limited("file", 1000, SIG_DFL));
  EXPECT_EQ(EFBIG, truncate_limited("file", 1001, SIG_IGN));
  EXPECT_EQ(EFBIG, truncate_limited("other", 5000, SIG_IGN));
  EXPECT_EQ(128 + SIGXFSZ, truncate_limited("file", 5000, SIG_DFL));
  EXPECT_EQ(1000, stat_of("file").st_size);
  EXPECT_EQ("another file\n", content_of("other"));
}

TEST_F(Truncate, ShrinksAFileBeyondTheLimit) {
  EXPECT_EQ(0, truncate_limited("big", 2000, SIG_DFL));
}

TEST_F(Truncate, KeepsModeAndInode) {
  ASSERT_OK(t_chmod("file", 0640));
  Identity file = identity("file");
  ASSERT_OK(t_truncate("file", 5));
  EXPECT_EQ(file, identity("file"));
  EXPECT_EQ(0640u, mode_of("file"));
  EXPECT_EQ("hello", content_of("file"));
}

TEST_F(Truncate, ByDescriptor) {
  Fd written(t_open("big", O_RDWR)), read_only(t_open("big", O_RDONLY));
  ASSERT_OK(t_ftruncate(written, 4));
  EXPECT_EQ("0\n1\n", content_of("big"));
  EXPECT_ERRNO(EINVAL, t_ftruncate(read_only, 0));
  EXPECT_ERRNO(EBADF, t_ftruncate(-1, 0));
  EXPECT_ERRNO(EINVAL, t_ftruncate(written, -1));
}

TEST_F(Truncate, Refuses) {
  EXPECT_ERRNO(EISDIR, t_truncate("dir", 0));
  EXPECT_ERRNO(EINVAL, t_truncate("file", -1));
  EXPECT_ERRNO(EINVAL, t_truncate("fifo", 0));
  EXPECT_ERRNO(ENOENT, t_truncate("nothing", 0));
  EXPECT_ERRNO(ENOENT, t_truncate("dangling", 0));
  EXPECT_ERRNO(ENOTDIR, t_truncate("file/", 0));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_truncate("readonly", 0));
  EXPECT_ERRNO(EACCES, t_truncate("noperm", 0));
  EXPECT_EQ(10, stat_of("readonly").st_size);
}

TREE_SUITE(Ioctl);

TEST_F(Ioctl, InodeFlags) {
  if (missing(Feature::kInodeFlags)) GTEST_SKIP() << "no inode flags on this file system";
  Fd fd(t_open("file", O_RDONLY));
  int flags = 0;
  ASSERT_OK(t_ioctl(fd, FS_IOC_GETFLAGS, &flags));
  flags |= FS_NODUMP_FL;
  ASSERT_OK(t_ioctl(fd, FS_IOC_SETFLAGS, &flags));
  Fd again(t_open("file", O_RDONLY));
  int now = 0;
  ASSERT_OK(t_ioctl(again, FS_IOC_GETFLAGS, &now));
  EXPECT_EQ(FS_NODUMP_FL, now & FS_NODUMP_FL);
}

TEST_F(Ioctl, OtherRequestsPass) {
  Fd fd(t_open("file", O_RDONLY));
  int waiting = -1;
  ASSERT_OK(t_ioctl(fd, FIONREAD, &waiting));
  EXPECT_EQ(12, waiting);
  EXPECT_ERRNO(ENOTTY, t_ioctl(fd, 0x5401 /* TCGETS */, &waiting));
  EXPECT_ERRNO(EBADF, t_ioctl(-1, FIONREAD, &waiting));
}

TEST_F(Ioctl, AReflinkIsACopyOrIsRefused) {
  Fd from(t_open("big", O_RDONLY)), to(t_open("clone", O_RDWR | O_CREAT, 0644));
  if (ioctl(to, FICLONE, int(from)) < 0) {
    EXPECT_TRUE(errno == EOPNOTSUPP || errno == EXDEV || errno == EINVAL) << strerror(errno);
    return;
  }
  EXPECT_TRUE(content_of("big") == content_of("clone"));
}

}  // namespace
}  // namespace syscalls
