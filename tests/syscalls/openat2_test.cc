// openat2: its argument block, and the RESOLVE_* limits on a walk.
#include <string.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

class Openat2 : public Tree {
 protected:
  static int open_limited(const std::string& path, uint64_t resolve, uint64_t flags = O_RDONLY,
                          int dirfd = AT_FDCWD, uint64_t mode = 0) {
    open_how how = {};
    how.flags = flags;
    how.mode = mode;
    how.resolve = resolve;
    // Through "..", below a limit, the kernel gives up when something is renamed anywhere
    // meanwhile: openat2(2) leaves it to the caller to ask again.
    const bool by_chance = (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0;
    int fd;
    do {
      errno = kUntouched;
      fd = t_openat2(dirfd, path.c_str(), &how, sizeof how);
    } while (fd < 0 && errno == EAGAIN && by_chance);
    return fd;
  }
};

TEST_F(Openat2, OpensAsOpenatDoes) {
  EXPECT_EQ("a\n", read_all(Fd(open_limited("rel", 0))));
  Fd fd(open_limited("dir/a", 0, O_RDWR | O_CLOEXEC));
  EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
  EXPECT_EQ(1, write(fd, "A", 1));
  EXPECT_EQ("A\n", content_of("dir/a"));
  { Fd made(open_limited("dir/new", 0, O_WRONLY | O_CREAT | O_EXCL, AT_FDCWD, 0666)); }
  EXPECT_EQ(mode_t(S_IFREG | 0644), stat_of("dir/new").st_mode);
  EXPECT_ERRNO(ENOENT, open_limited("nothing", 0));
}

TEST_F(Openat2, ChecksItsArguments) {
  EXPECT_ERRNO(EINVAL,
               open_limited("file", 0, O_RDONLY, AT_FDCWD, 0644));  // a mode without O_CREAT
  EXPECT_ERRNO(EINVAL, open_limited("new", 0, O_CREAT | O_WRONLY, AT_FDCWD, 010000));
  EXPECT_ERRNO(EINVAL, open_limited("file", 1ull << 40));
  EXPECT_ERRNO(EINVAL, open_limited("file", 0, 1ull << 40));
  EXPECT_ERRNO(EINVAL, open_limited("file", RESOLVE_BENEATH | RESOLVE_IN_ROOT));
  EXPECT_ERRNO(EINVAL, open_limited("file", 0, O_PATH | O_RDWR));
  EXPECT_FALSE(exists("new"));
}

TEST_F(Openat2, TakesLargerAndRefusesSmallerBlocks) {
  struct {
    open_how how;
    char more[16];
  } block = {};
  block.how.flags = O_RDONLY;
  EXPECT_ERRNO(EINVAL, t_openat2(AT_FDCWD, "file", &block.how, sizeof(open_how) - 1));
  EXPECT_OK(Fd(t_openat2(AT_FDCWD, "file", &block.how, sizeof block)));
  block.more[3] = 1;
  EXPECT_ERRNO(E2BIG, t_openat2(AT_FDCWD, "file", &block.how, sizeof block));
  EXPECT_ERRNO(EFAULT, t_openat2(AT_FDCWD, "file", nullptr, sizeof(open_how)));
}

TEST_F(Openat2, BeneathStaysBelowTheStart) {
  Fd dir(t_open("dir", O_PATH));
  EXPECT_OK(Fd(open_limited("a", RESOLVE_BENEATH, O_RDONLY, dir)));
  EXPECT_OK(Fd(open_limited("sub/../a", RESOLVE_BENEATH, O_RDONLY, dir)));
  EXPECT_OK(Fd(open_limited("link", RESOLVE_BENEATH, O_RDWR, dir)));
  EXPECT_ERRNO(EXDEV, open_limited("../file", RESOLVE_BENEATH, O_RDONLY, dir));
  EXPECT_ERRNO(EXDEV, open_limited("up", RESOLVE_BENEATH, O_RDONLY, dir));
  EXPECT_ERRNO(EXDEV, open_limited("..", RESOLVE_BENEATH, O_RDONLY, dir));
  EXPECT_ERRNO(EXDEV, open_limited(cwd() + "/dir/a", RESOLVE_BENEATH, O_RDONLY, dir));
  EXPECT_ERRNO(EXDEV, open_limited("abs", RESOLVE_BENEATH));
  { Fd made(open_limited("made", RESOLVE_BENEATH, O_WRONLY | O_CREAT, dir, 0644)); }
  EXPECT_TRUE(exists("dir/made"));
}

TEST_F(Openat2, InRootTakesTheStartForTheRoot) {
  Fd dir(t_open("dir", O_PATH));
  EXPECT_EQ(identity("dir/a"), identity(Fd(open_limited("/a", RESOLVE_IN_ROOT, O_RDONLY, dir))));
  EXPECT_EQ(identity("dir/a"),
            identity(Fd(open_limited("../../a", RESOLVE_IN_ROOT, O_RDONLY, dir))));
  EXPECT_EQ(identity("dir"), identity(Fd(open_limited("/..", RESOLVE_IN_ROOT, O_RDONLY, dir))));
  EXPECT_ERRNO(
      ENOENT, open_limited("up", RESOLVE_IN_ROOT, O_RDONLY, dir));  // ../file, there is none in dir
  EXPECT_ERRNO(ENOENT, open_limited("abs", RESOLVE_IN_ROOT));
  ASSERT_OK(t_symlink("/sub/x", "dir/inroot"));
  EXPECT_EQ(identity("dir/sub/x"),
            identity(Fd(open_limited("inroot", RESOLVE_IN_ROOT, O_RDWR, dir))));
}

TEST_F(Openat2, NoSymlinksRefusesThem) {
  EXPECT_OK(Fd(open_limited("dir/a", RESOLVE_NO_SYMLINKS, O_RDWR)));
  EXPECT_ERRNO(ELOOP, open_limited("rel", RESOLVE_NO_SYMLINKS));
  EXPECT_ERRNO(ELOOP, open_limited("dirlink/a", RESOLVE_NO_SYMLINKS));
  EXPECT_ERRNO(ELOOP, open_limited("dirlink/a", RESOLVE_NO_SYMLINKS, O_RDWR));
  EXPECT_ERRNO(ELOOP, open_limited("/proc/self/cwd/file", RESOLVE_NO_SYMLINKS));
  EXPECT_EQ(identity("rel"),
            identity(Fd(open_limited("rel", RESOLVE_NO_SYMLINKS, O_PATH | O_NOFOLLOW))));
}

TEST_F(Openat2, NoMagiclinksRefusesOnlyThose) {
  EXPECT_OK(Fd(open_limited("rel", RESOLVE_NO_MAGICLINKS)));
  Fd fd(t_open("file", O_RDONLY));
  EXPECT_ERRNO(ELOOP, open_limited("/proc/self/fd/" + std::to_string(fd), RESOLVE_NO_MAGICLINKS));
  EXPECT_ERRNO(ELOOP, open_limited("/proc/self/cwd/file", RESOLVE_NO_MAGICLINKS));
}

TEST_F(Openat2, NoXdevStaysOnTheFileSystem) {
  EXPECT_OK(Fd(open_limited("dir/a", RESOLVE_NO_XDEV)));
  EXPECT_OK(Fd(open_limited("rel", RESOLVE_NO_XDEV)));
  EXPECT_ERRNO(EXDEV, open_limited("/proc/self/stat", RESOLVE_NO_XDEV));
  ASSERT_OK(t_symlink("/proc/version", "out"));
  EXPECT_OK(Fd(open_limited("out", 0)));
  EXPECT_ERRNO(EXDEV, open_limited("out", RESOLVE_NO_XDEV));
}

TEST_F(Openat2, CachedMaySayTryAgain) {
  content_of("file");
  int fd = open_limited("file", RESOLVE_CACHED);
  EXPECT_TRUE(fd >= 0 || errno == EAGAIN) << strerror(errno);
  if (fd >= 0) close(fd);
}

}  // namespace
}  // namespace syscalls
