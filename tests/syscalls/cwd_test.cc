// The current directory, and paths longer than PATH_MAX.
#include <string.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

TREE_SUITE(Cwd);

TEST_F(Cwd, MovesAndTells) {
  const std::string top = cwd();
  ASSERT_OK(t_chdir("dir/sub"));
  EXPECT_EQ(top + "/dir/sub", cwd());
  EXPECT_EQ("x\n", content_of("x"));
  ASSERT_OK(t_chdir(".."));
  EXPECT_EQ(top + "/dir", cwd());
  ASSERT_OK(t_chdir("./sub//deeper/."));
  EXPECT_EQ(top + "/dir/sub/deeper", cwd());
  ASSERT_OK(t_chdir(top.c_str()));
  EXPECT_EQ(top, cwd());
}

TEST_F(Cwd, ThroughSymlinksIsWhereTheyLead) {
  const std::string top = cwd();
  ASSERT_OK(t_chdir("dirlink2"));
  EXPECT_EQ(top + "/dir/sub", cwd());
  ASSERT_OK(t_chdir(".."));
  EXPECT_EQ(top + "/dir", cwd());
  ASSERT_OK(t_chdir((top + "/absdir").c_str()));
  EXPECT_EQ(top + "/dir", cwd());
}

TEST_F(Cwd, ByDescriptor) {
  const std::string top = cwd();
  Fd dir(t_open("dir", O_RDONLY)), sub(t_open("dir/sub", O_PATH)), file(t_open("file", O_RDONLY));
  ASSERT_OK(t_fchdir(dir));
  EXPECT_EQ(top + "/dir", cwd());
  ASSERT_OK(t_fchdir(sub));
  EXPECT_EQ(top + "/dir/sub", cwd());
  EXPECT_EQ("x\n", content_of("x"));
  EXPECT_ERRNO(ENOTDIR, t_fchdir(file));
  EXPECT_ERRNO(EBADF, t_fchdir(-1));
}

TEST_F(Cwd, InANewDirectory) {
  const std::string top = cwd();
  ASSERT_OK(t_mkdir("dir/new", 0755));
  ASSERT_OK(t_chdir("dir/new"));
  EXPECT_EQ(top + "/dir/new", cwd());
  write_file("f", "f");
  EXPECT_EQ("f", content_of(top + "/dir/new/f"));
  EXPECT_EQ("a\n", content_of("../a"));
  EXPECT_EQ("hello lower\n", content_of("../../file"));
  ASSERT_OK(t_mkdir("../new2", 0755));
  ASSERT_OK(t_chdir("../new2"));
  EXPECT_EQ(top + "/dir/new2", cwd());
}

TEST_F(Cwd, StaysRightWhileTheDirectoryChangesLayers) {
  const std::string top = cwd();
  ASSERT_OK(t_chdir("dir"));
  Fd before(t_open(".", O_RDONLY));
  write_file("new", "new");  // from here on the directory has a part in the upper
  ASSERT_OK(t_chmod(".", 0700));
  EXPECT_EQ(top + "/dir", cwd());
  EXPECT_EQ("new", content_of("new"));
  EXPECT_OK(Fd(t_openat(before, "new", O_RDONLY)));
  EXPECT_EQ(identity("."), identity(before));
  ASSERT_OK(t_unlink("a"));
  EXPECT_ERRNO(ENOENT, t_openat(before, "a", O_RDONLY));
  EXPECT_EQ(names_in("."), names_in(top + "/dir"));
}

TEST_F(Cwd, InARemovedDirectory) {
  ASSERT_OK(t_chdir("emptydir"));
  ASSERT_OK(t_rmdir("../emptydir"));
  char path[PATH_MAX];
  errno = 0;
  EXPECT_EQ(nullptr, t_getcwd(path, sizeof path));
  EXPECT_EQ(ENOENT, errno);
  EXPECT_ERRNO(ENOENT, t_open("new", O_WRONLY | O_CREAT, 0644));
  EXPECT_ERRNO(ENOENT, t_mkdir("new", 0755));
}

// A directory that has lost its name is still itself, and still has a parent.
void look_around_from_removed(const std::string& top) {
  struct stat st;
  EXPECT_OK(t_stat(".", &st));
  EXPECT_TRUE(S_ISDIR(st.st_mode));
  EXPECT_EQ(identity(top), identity(".."));
  EXPECT_EQ(identity(top), identity("./.././."));
  EXPECT_EQ(identity(top), identity("/proc/self/cwd/.."));
  EXPECT_EQ("hello lower\n", content_of("../file"));
  EXPECT_EQ("x\n", content_of("../dir/sub/x"));
  EXPECT_ERRNO(ENOENT, t_stat("x", &st));
  EXPECT_ERRNO(ENOENT, t_stat("x/..", &st));
  EXPECT_ERRNO(ENOENT, t_stat("/proc/self/cwd/x", &st));
  EXPECT_ERRNO(ENOENT, t_open("new", O_WRONLY | O_CREAT, 0644));
  EXPECT_ERRNO(ENOENT, t_mkdir("new", 0755));
  EXPECT_ERRNO(ENOENT, t_rename("../other", "other"));
  EXPECT_ERRNO(EEXIST, t_mkdir(".", 0755));
  EXPECT_ERRNO(EINVAL, t_rmdir("."));
  if (kLibcCalls) {
    EXPECT_EQ(Names{}, names_in("."));  // getdents(2) says ENOENT, of which readdir(3) knows
  }
  EXPECT_OK(t_chdir("."));
  char path[PATH_MAX];
  EXPECT_EQ(nullptr, t_getcwd(path, sizeof path));
  write_file("../made-from-inside", "new");
  ASSERT_OK(t_unlink("../made-from-inside"));
  ASSERT_OK(t_chdir(".."));
  EXPECT_EQ(top, cwd());
}

TEST_F(Cwd, ARemovedDirectoryHasAParent) {
  const std::string top = cwd();
  ASSERT_OK(t_mkdir("made", 0755));
  for (const char* name : {"emptydir", "made"}) {
    SCOPED_TRACE(name);
    ASSERT_OK(t_chdir(name));
    ASSERT_OK(t_rmdir(("../"s + name).c_str()));
    look_around_from_removed(top);
  }
}

TEST_F(Cwd, ARemovedDirectoryThatWasMadeAgain) {
  const std::string top = cwd();
  ASSERT_OK(t_chdir("emptydir"));
  ASSERT_OK(t_rmdir("../emptydir"));
  ASSERT_OK(t_mkdir("../emptydir", 0755));
  write_file("../emptydir/x", "another's");
  look_around_from_removed(top);
}

TEST_F(Cwd, TheParentOfARemovedDirectoryMoves) {
  const std::string top = cwd();
  ASSERT_OK(t_mkdir("dir2/made", 0755));
  ASSERT_OK(t_chdir("dir2/made"));
  ASSERT_OK(t_rmdir((top + "/dir2/made").c_str()));
  ASSERT_OK(t_rename((top + "/dir2").c_str(), (top + "/moved").c_str()));
  EXPECT_EQ(identity(top + "/moved"), identity(".."));
  EXPECT_EQ("hello lower\n", content_of("../../file"));
  ASSERT_OK(t_chdir(".."));
  EXPECT_EQ(top + "/moved", cwd());
}

TEST_F(Cwd, BelowADescriptorOfARemovedDirectory) {
  const std::string top = cwd();
  Fd removed(t_open("emptydir", O_RDONLY | O_DIRECTORY));
  ASSERT_OK(t_rmdir("emptydir"));
  struct stat st;
  EXPECT_OK(t_fstatat(removed, "..", &st, 0));
  EXPECT_EQ(stat_of(top).st_ino, st.st_ino);
  EXPECT_OK(t_fstatat(removed, ".", &st, 0));
  EXPECT_EQ("hello lower\n", read_all(Fd(t_openat(removed, "../file", O_RDONLY))));
  EXPECT_ERRNO(ENOENT, t_fstatat(removed, "x", &st, 0));
  EXPECT_ERRNO(ENOENT, t_mkdirat(removed, "x", 0755));
  open_how how = {O_RDONLY, 0, RESOLVE_BENEATH};
  EXPECT_ERRNO(EXDEV, t_openat2(removed, "..", &how, sizeof how));
}

TEST_F(Cwd, OutsideInARemovedDirectory) {
  const std::string top = cwd(), outside = top + "/../../removed-outside";
  ASSERT_OK(t_mkdir(outside.c_str(), 0755));
  ASSERT_OK(t_chdir(outside.c_str()));
  ASSERT_OK(t_rmdir(outside.c_str()));
  EXPECT_EQ(identity(top + "/../.."), identity(".."));
  // Into the tree.
  const std::string back = top.substr(0, top.rfind('/'));
  const std::string into = ".." + back.substr(back.rfind('/')) + top.substr(top.rfind('/'));
  EXPECT_EQ("hello lower\n", content_of(into + "/file"));
  write_file(into + "/new", "new");
  EXPECT_EQ("new", content_of(top + "/new"));
  ASSERT_OK(t_chdir(into.c_str()));
  EXPECT_EQ(top, cwd());
}

// What is in no tree any more may take changes or not; the lower's object does not.
TEST_F(Cwd, ARemovedDirectoryOfTheLowerStaysAsItIs) {
  Fd file(t_open("file", O_RDONLY));
  ASSERT_OK(t_unlink("file"));
  ASSERT_OK(t_chdir("emptydir"));
  ASSERT_OK(t_rmdir("../emptydir"));
  const timespec times[2] = {{1, 0}, {1, 0}};
  const std::string by_fd = "/proc/self/fd/" + std::to_string(file);
  for (const std::string& path : {"."s, "/proc/self/cwd"s, by_fd}) {
    (void)t_chmod(path.c_str(), 0700);
    (void)t_utimensat(AT_FDCWD, path.c_str(), times, 0);
    (void)t_setxattr(path.c_str(), "user.new", "1", 1, 0);
    (void)t_chown(path.c_str(), geteuid(), getegid());
    (void)t_truncate(path.c_str(), 0);
    EXPECT_NE(0, t_mkdir((path + "/made").c_str(), 0755));
    EXPECT_NE(0, t_linkat(AT_FDCWD, path.c_str(), AT_FDCWD, "../../../linked", AT_SYMLINK_FOLLOW));
  }
  EXPECT_NE(0, t_linkat(file, "", AT_FDCWD, "../../../linked", AT_EMPTY_PATH));
  const int unnamed = t_open(".", O_TMPFILE | O_RDWR, 0600);
  if (unnamed >= 0) close(unnamed);
}

TEST_F(Cwd, Refuses) {
  EXPECT_ERRNO(ENOENT, t_chdir("nothing"));
  EXPECT_ERRNO(ENOENT, t_chdir(""));
  EXPECT_ERRNO(ENOENT, t_chdir("dangling"));
  EXPECT_ERRNO(ENOTDIR, t_chdir("file"));
  EXPECT_ERRNO(ENOTDIR, t_chdir("dir/a/.."));
  EXPECT_ERRNO(ELOOP, t_chdir("loop"));
  EXPECT_ERRNO(ENAMETOOLONG, t_chdir((kLongName + "x").c_str()));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_chdir("dir_none"));
  EXPECT_ERRNO(EACCES, t_chdir("dir_noexec"));
  ASSERT_OK(t_chmod("dir", 0600));
  EXPECT_ERRNO(EACCES, t_chdir("dir"));
  EXPECT_OK(t_chdir("dir_noread"));
  EXPECT_EQ("inside\n", content_of("inside"));
}

TEST_F(Cwd, ShortBuffers) {
  char path[PATH_MAX];
  const size_t length = cwd().size();
  errno = 0;
  EXPECT_EQ(nullptr, t_getcwd(path, length));
  EXPECT_EQ(ERANGE, errno);
  EXPECT_EQ(path, t_getcwd(path, length + 1));
  EXPECT_EQ(length, strlen(path));
#ifndef USE_SYSCALL
  errno = 0;
  EXPECT_EQ(nullptr, getcwd(path, 0));
  EXPECT_EQ(EINVAL, errno);
  char* allocated = getcwd(nullptr, 0);
  EXPECT_STREQ(path, allocated);
  free(allocated);
  allocated = get_current_dir_name();
  EXPECT_STREQ(path, allocated);
  free(allocated);
#else
  EXPECT_EQ(long(length + 1), syscall(SYS_getcwd, path, sizeof path));
#endif
}

TEST_F(Cwd, IsInheritedAndOnesOwn) {
  const std::string top = cwd();
  ASSERT_OK(t_chdir("dir"));
  EXPECT_EQ(0, in_child([&] {
              return cwd() == top + "/dir" && t_chdir("sub") == 0 && cwd() == top + "/dir/sub" ? 0
                                                                                               : 1;
            }));
  EXPECT_EQ(top + "/dir", cwd());
  EXPECT_EQ("a\n", content_of("a"));
}

TEST_F(Cwd, AVforkedChildMovesAlone) {
  const std::string top = cwd();
  pid_t child = vfork();
  if (child == 0) {
    if (t_chdir("dir/sub") < 0) _exit(1);
    _exit(t_access("deeper/z", R_OK) == 0 ? 0 : 2);
  }
  int status;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_EQ(top, cwd());
  EXPECT_EQ("hello lower\n", content_of("file"));
}

// --- deeper than PATH_MAX: reached in steps, by descriptors or by the current directory ---

constexpr int kSteps = 30;  // of 200 bytes each

std::string step_name(int i) { return std::string(199, 's') + char('a' + i % 26); }

class DeepPath : public Tree {
 protected:
  // Steps down to the deepest directory; with `make`, making it.
  static int descend(bool make) {
    int at = t_open(".", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < kSteps; i++) {
      if (make) {
        EXPECT_OK(t_mkdirat(at, step_name(i).c_str(), 0755)) << i;
      }
      int next = t_openat(at, step_name(i).c_str(), O_RDONLY | O_DIRECTORY);
      if (next < 0) {
        ADD_FAILURE() << "step " << i << ": " << strerror(errno);
        return at;
      }
      close(at);
      at = next;
    }
    return at;
  }
};

void prepare_deep() {
  int at = open(".", O_RDONLY);
  for (int i = 0; i < kSteps; i++) {
    if (mkdirat(at, step_name(i).c_str(), 0755) < 0) abort();
    int next = openat(at, step_name(i).c_str(), O_RDONLY);
    close(at);
    at = next;
  }
  int file = openat(at, "bottom", O_WRONLY | O_CREAT, 0644);
  if (write(file, "bottom\n", 7) != 7) abort();
  close(file);
  close(at);
}

PREPARE(DeepPath, OfTheLowerIsRead) { prepare_deep(); }
PREPARE(DeepPath, OfTheLowerIsChanged) { prepare_deep(); }
PREPARE(DeepPath, CurrentDirectoryInSteps) { prepare_deep(); }

TEST_F(DeepPath, IsMade) {
  Fd at(descend(true));
  {
    Fd file(t_openat(at, "new", O_WRONLY | O_CREAT | O_EXCL, 0644));
    EXPECT_EQ(4, write(file, "deep", 4));
  }
  Fd again(descend(false));
  EXPECT_EQ("deep", read_all(Fd(t_openat(again, "new", O_RDONLY))));
  EXPECT_EQ(identity(at), identity(again));
  EXPECT_ERRNO(EEXIST, t_mkdirat(again, "new", 0755));
  ASSERT_OK(t_unlinkat(again, "new", 0));
  EXPECT_ERRNO(ENOENT, t_openat(at, "new", O_RDONLY));
}

TEST_F(DeepPath, OfTheLowerIsRead) {
  Fd at(descend(false));
  EXPECT_EQ("bottom\n", read_all(Fd(t_openat(at, "bottom", O_RDONLY))));
  struct stat st;
  EXPECT_OK(t_fstatat(at, "bottom", &st, 0));
  EXPECT_EQ(7, st.st_size);
  EXPECT_ERRNO(ENOENT, t_openat(at, "nothing", O_RDONLY));
}

TEST_F(DeepPath, OfTheLowerIsChanged) {
  Fd at(descend(false));
  {
    Fd file(t_openat(at, "bottom", O_WRONLY | O_APPEND));
    EXPECT_EQ(4, write(file, "more", 4));
  }
  EXPECT_EQ("bottom\nmore", read_all(Fd(t_openat(at, "bottom", O_RDONLY))));
  ASSERT_OK(t_renameat(at, "bottom", at, "moved"));
  ASSERT_OK(t_mkdirat(at, "newdir", 0755));
  Fd again(descend(false));
  EXPECT_EQ("bottom\nmore", read_all(Fd(t_openat(again, "moved", O_RDONLY))));
  EXPECT_ERRNO(ENOENT, t_openat(again, "bottom", O_RDONLY));
}

TEST_F(DeepPath, CurrentDirectoryInSteps) {
  for (int i = 0; i < kSteps; i++) ASSERT_OK(t_chdir(step_name(i).c_str())) << i;
  EXPECT_EQ("bottom\n", content_of("bottom"));
  append_to("bottom", "more");
  write_file("new", "new");
  EXPECT_EQ((Names{"bottom", "new"}), names_in("."));
  for (int i = 0; i < kSteps; i++) ASSERT_OK(t_chdir("..")) << i;
  EXPECT_EQ("hello lower\n", content_of("file"));
}

}  // namespace
}  // namespace syscalls
