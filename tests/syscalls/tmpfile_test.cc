// Files without a name, and descriptors opened again by /proc/self/fd.
#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

class Unnamed : public Tree {
 protected:
  void SetUp() override {
    Tree::SetUp();
    if (IsSkipped()) return;
    if (missing(Feature::kUnnamedFiles)) GTEST_SKIP() << "no O_TMPFILE on this file system";
  }
};

std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

TEST_F(Unnamed, IsInNoDirectory) {
  Fd fd(t_open("dir", O_TMPFILE | O_RDWR, 0640));
  EXPECT_EQ(4, write(fd, "data", 4));
  EXPECT_EQ(0u, fstat_of(fd).st_nlink);
  EXPECT_EQ(mode_t(S_IFREG | 0640), fstat_of(fd).st_mode);
  EXPECT_EQ((Names{"a", "b", "c", "sub", "link", "up", "hard3"}), names_in("dir"));
}

TEST_F(Unnamed, GetsANameByLinkat) {
  Fd fd(t_open("dir", O_TMPFILE | O_WRONLY, 0644));
  EXPECT_EQ(4, write(fd, "data", 4));
  ASSERT_OK(t_linkat(AT_FDCWD, proc_path(fd).c_str(), AT_FDCWD, "dir/named", AT_SYMLINK_FOLLOW));
  EXPECT_EQ("data", content_of("dir/named"));
  EXPECT_EQ(identity("dir/named"), identity(fd));
  EXPECT_EQ(1u, stat_of("dir/named").st_nlink);
  EXPECT_EQ(1, write(fd, "!", 1));
  EXPECT_EQ("data!", content_of("dir/named"));
}

TEST_F(Unnamed, GetsANameInAnotherDirectory) {
  Fd fd(t_open("dir/sub", O_TMPFILE | O_RDWR, 0600));
  Fd to(t_open("emptydir", O_RDONLY | O_DIRECTORY));
  ASSERT_OK(t_linkat(AT_FDCWD, proc_path(fd).c_str(), to, "named", AT_SYMLINK_FOLLOW));
  EXPECT_EQ(Names{"named"}, names_in("emptydir"));
  EXPECT_ERRNO(EEXIST, t_linkat(AT_FDCWD, proc_path(fd).c_str(), to, "named", AT_SYMLINK_FOLLOW));
  EXPECT_ERRNO(EEXIST,
               t_linkat(AT_FDCWD, proc_path(fd).c_str(), AT_FDCWD, "file", AT_SYMLINK_FOLLOW));
}

TEST_F(Unnamed, TakesTheNameOfARemovedFile) {
  Fd fd(t_open(".", O_TMPFILE | O_RDWR, 0600));
  ASSERT_OK(t_unlink("file"));
  ASSERT_OK(t_linkat(AT_FDCWD, proc_path(fd).c_str(), AT_FDCWD, "file", AT_SYMLINK_FOLLOW));
  EXPECT_EQ("", content_of("file"));
}

TEST_F(Unnamed, ExclusiveOnesGetNoName) {
  Fd fd(t_open("dir", O_TMPFILE | O_RDWR | O_EXCL, 0600));
  EXPECT_ERRNO(ENOENT,
               t_linkat(AT_FDCWD, proc_path(fd).c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
}

TEST_F(Unnamed, NeedsADirectoryAndWriting) {
  EXPECT_ERRNO(ENOTDIR, t_open("file", O_TMPFILE | O_RDWR, 0600));
  EXPECT_ERRNO(ENOENT, t_open("nothing", O_TMPFILE | O_RDWR, 0600));
  EXPECT_ERRNO(EINVAL, t_open("dir", O_TMPFILE | O_RDONLY, 0600));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_open("dir_ro", O_TMPFILE | O_RDWR, 0600));
}

TREE_SUITE(Reopen);

TEST_F(Reopen, WithMoreRights) {
  for (const char* form : {"/proc/self/fd/", "/dev/fd/", "/proc/thread-self/fd/"}) {
    Fd fd(t_open("file", O_RDONLY));
    Fd again(t_open((form + std::to_string(fd)).c_str(), O_RDWR));
    EXPECT_EQ(1, write(again, "H", 1)) << form;
    EXPECT_EQ("Hello lower\n", content_of("file")) << form;
    EXPECT_EQ(identity("file"), identity(again)) << form;
    ASSERT_OK(t_truncate("file", 0));
    append_to("file", "hello lower\n");
  }
}

TEST_F(Reopen, OfAPathDescriptor) {
  Fd fd(t_open("dir/a", O_PATH));
  { Fd again(t_open(proc_path(fd).c_str(), O_WRONLY | O_TRUNC)); }
  EXPECT_EQ(0, stat_of("dir/a").st_size);
  Fd dir(t_open("dir", O_PATH));
  Fd listing(t_open(proc_path(dir).c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(identity("dir"), identity(listing));
  { Fd made(t_open((proc_path(dir) + "/made").c_str(), O_WRONLY | O_CREAT, 0644)); }
  EXPECT_TRUE(exists("dir/made"));
}

TEST_F(Reopen, AfterARename) {
  Fd fd(t_open("dir/a", O_RDONLY));
  ASSERT_OK(t_rename("dir/a", "dir2/moved"));
  Fd again(t_open(proc_path(fd).c_str(), O_RDONLY));
  EXPECT_EQ("a\n", read_all(again));
  EXPECT_EQ(identity("dir2/moved"), identity(again));
}

TEST_F(Reopen, ByTheRootAndTheDirectoryOfTheProcess) {
  const std::string here = cwd();
  append_to("/proc/self/root" + here + "/file", "by root\n");
  EXPECT_EQ("hello lower\nby root\n", content_of("file"));
  append_to("/proc/self/cwd/file", "by cwd\n");
  EXPECT_EQ("hello lower\nby root\nby cwd\n", content_of("file"));
  EXPECT_EQ("hello lower\nby root\nby cwd\n",
            content_of("/proc/" + std::to_string(getpid()) + "/cwd/file"));
}

TEST_F(Reopen, LinksShowThePathsThatProgramsKnow) {
  const std::string here = cwd();
  Fd lower(t_open("file", O_RDONLY)), written(t_open("other", O_RDWR)),
      made(t_open("dir/new", O_RDWR | O_CREAT, 0600));
  Fd dir(t_open("dir", O_RDONLY));
  EXPECT_EQ(here + "/file", target_of(proc_path(lower)));
  EXPECT_EQ(here + "/other", target_of(proc_path(written)));
  EXPECT_EQ(here + "/dir/new", target_of(proc_path(made)));
  EXPECT_EQ(here + "/dir", target_of(proc_path(dir)));
  EXPECT_EQ(here, target_of("/proc/self/cwd"));
}

}  // namespace
}  // namespace syscalls
