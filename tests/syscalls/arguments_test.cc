// Bad arguments, for every call that takes a path: one table of calls, one test for each kind of
// badness.
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

// A null pointer that the compiler does not see through: libc's headers declare most parameters
// non-null.
template <class T>
T* null() {
  static T* volatile pointer = nullptr;
  return pointer;
}

struct stat ignored_stat;
struct statx ignored_statx;
struct statfs ignored_statfs;
char ignored[256];
const timespec kTimes[2] = {{1, 1}, {1, 1}};
const timeval kMicros[2] = {{1, 1}, {1, 1}};
const utimbuf kSeconds = {1, 1};
const open_how kHow = {O_RDONLY, 0, 0};
char kName[] = "name";
char* const kArgv[] = {kName, nullptr};

enum Kind : unsigned {
  kReads = 1,   // wants the object to exist
  kMakes = 2,   // makes it
  kRemoves = 4  // or moves it away
};

struct PathCall {
  const char* name;
  Kind kind;
  long (*call)(const char* path);
};

// Every call with a path, in the place of its path.
const PathCall kCalls[] = {
    {"open", kReads, [](const char* p) -> long { return t_open(p, O_RDONLY | O_NONBLOCK); }},
    {"open for writing", kReads,
     [](const char* p) -> long { return t_open(p, O_RDWR | O_NONBLOCK); }},
    {"open O_PATH", kReads, [](const char* p) -> long { return t_open(p, O_PATH); }},
    {"open O_CREAT", kMakes,
     [](const char* p) -> long { return t_open(p, O_CREAT | O_WRONLY | O_EXCL, 0600); }},
    {"creat", kMakes, [](const char* p) -> long { return t_creat(p, 0600); }},
    {"openat", kReads,
     [](const char* p) -> long { return t_openat(AT_FDCWD, p, O_RDONLY | O_NONBLOCK); }},
    {"openat2", kReads,
     [](const char* p) -> long { return t_openat2(AT_FDCWD, p, &kHow, sizeof kHow); }},
    {"stat", kReads, [](const char* p) -> long { return t_stat(p, &ignored_stat); }},
    {"lstat", kReads, [](const char* p) -> long { return t_lstat(p, &ignored_stat); }},
    {"fstatat", kReads,
     [](const char* p) -> long { return t_fstatat(AT_FDCWD, p, &ignored_stat, 0); }},
    {"statx", kReads,
     [](const char* p) -> long { return t_statx(AT_FDCWD, p, 0, STATX_ALL, &ignored_statx); }},
    {"access", kReads, [](const char* p) -> long { return t_access(p, F_OK); }},
    {"faccessat", kReads, [](const char* p) -> long { return t_faccessat(AT_FDCWD, p, F_OK); }},
    {"faccessat2", kReads,
     [](const char* p) -> long { return t_faccessat2(AT_FDCWD, p, F_OK, AT_EACCESS); }},
    {"readlink", kReads,
     [](const char* p) -> long { return t_readlink(p, ignored, sizeof ignored); }},
    {"readlinkat", kReads,
     [](const char* p) -> long { return t_readlinkat(AT_FDCWD, p, ignored, sizeof ignored); }},
    {"statfs", kReads, [](const char* p) -> long { return t_statfs(p, &ignored_statfs); }},
    {"chdir", kReads, [](const char* p) -> long { return t_chdir(p); }},
    {"mkdir", kMakes, [](const char* p) -> long { return t_mkdir(p, 0700); }},
    {"mkdirat", kMakes, [](const char* p) -> long { return t_mkdirat(AT_FDCWD, p, 0700); }},
    {"mknod", kMakes, [](const char* p) -> long { return t_mknod(p, S_IFIFO | 0600, 0); }},
    {"mknodat", kMakes,
     [](const char* p) -> long { return t_mknodat(AT_FDCWD, p, S_IFIFO | 0600, 0); }},
    {"symlink", kMakes, [](const char* p) -> long { return t_symlink("x", p); }},
    {"symlinkat", kMakes, [](const char* p) -> long { return t_symlinkat("x", AT_FDCWD, p); }},
    {"link from", kReads, [](const char* p) -> long { return t_link(p, "made"); }},
    {"link to", kMakes, [](const char* p) -> long { return t_link("other", p); }},
    {"linkat from", kReads,
     [](const char* p) -> long { return t_linkat(AT_FDCWD, p, AT_FDCWD, "made", 0); }},
    {"linkat to", kMakes,
     [](const char* p) -> long { return t_linkat(AT_FDCWD, "other", AT_FDCWD, p, 0); }},
    {"unlink", kRemoves, [](const char* p) -> long { return t_unlink(p); }},
    {"rmdir", kRemoves, [](const char* p) -> long { return t_rmdir(p); }},
    {"unlinkat", kRemoves, [](const char* p) -> long { return t_unlinkat(AT_FDCWD, p, 0); }},
    {"rename from", kRemoves, [](const char* p) -> long { return t_rename(p, "made"); }},
    {"rename to", kMakes, [](const char* p) -> long { return t_rename("other", p); }},
    {"renameat from", kRemoves,
     [](const char* p) -> long { return t_renameat(AT_FDCWD, p, AT_FDCWD, "made"); }},
    {"renameat2 to", kMakes,
     [](const char* p) -> long {
       return t_renameat2(AT_FDCWD, "other", AT_FDCWD, p, RENAME_NOREPLACE);
     }},
    {"chmod", kReads, [](const char* p) -> long { return t_chmod(p, 0600); }},
    {"fchmodat", kReads, [](const char* p) -> long { return t_fchmodat(AT_FDCWD, p, 0600); }},
    {"chown", kReads, [](const char* p) -> long { return t_chown(p, -1, -1); }},
    {"lchown", kReads, [](const char* p) -> long { return t_lchown(p, -1, -1); }},
    {"fchownat", kReads, [](const char* p) -> long { return t_fchownat(AT_FDCWD, p, -1, -1, 0); }},
    {"utimensat", kReads,
     [](const char* p) -> long { return t_utimensat(AT_FDCWD, p, kTimes, 0); }},
    {"utime", kReads, [](const char* p) -> long { return t_utime(p, &kSeconds); }},
    {"utimes", kReads, [](const char* p) -> long { return t_utimes(p, kMicros); }},
    {"futimesat", kReads, [](const char* p) -> long { return t_futimesat(AT_FDCWD, p, kMicros); }},
    {"truncate", kReads, [](const char* p) -> long { return t_truncate(p, 0); }},
    {"setxattr", kReads, [](const char* p) -> long { return t_setxattr(p, "user.x", "v", 1, 0); }},
    {"lsetxattr", kReads,
     [](const char* p) -> long { return t_lsetxattr(p, "user.x", "v", 1, 0); }},
    {"getxattr", kReads,
     [](const char* p) -> long { return t_getxattr(p, "user.x", ignored, sizeof ignored); }},
    {"lgetxattr", kReads,
     [](const char* p) -> long { return t_lgetxattr(p, "user.x", ignored, sizeof ignored); }},
    {"listxattr", kReads,
     [](const char* p) -> long { return t_listxattr(p, ignored, sizeof ignored); }},
    {"llistxattr", kReads,
     [](const char* p) -> long { return t_llistxattr(p, ignored, sizeof ignored); }},
    {"removexattr", kReads, [](const char* p) -> long { return t_removexattr(p, "user.x"); }},
    {"lremovexattr", kReads, [](const char* p) -> long { return t_lremovexattr(p, "user.x"); }},
    {"execve", kReads, [](const char* p) -> long { return t_execve(p, kArgv, environ); }},
    {"execveat", kReads,
     [](const char* p) -> long { return t_execveat(AT_FDCWD, p, kArgv, environ, 0); }},
    {"inotify_add_watch", kReads,
     [](const char* p) -> long {
       int fd = inotify_init1(IN_CLOEXEC);
       long result = t_inotify_add_watch(fd, p, IN_CREATE);
       int error = errno;
       close(fd);
       errno = error;
       return result;
     }},
};

class Arguments : public Tree {
 protected:
  static void every_call_gives(int error, const char* path,
                               unsigned kinds = kReads | kMakes | kRemoves) {
    for (const PathCall& call : kCalls) {
      if (!(call.kind & kinds)) continue;
      EXPECT_ERRNO(error, call.call(path)) << call.name << " of " << (path ? path : "NULL");
    }
  }
};

TEST_F(Arguments, NullPaths) {
  for (const PathCall& call : kCalls) {
    // For the kernel, utimensat's NULL means the descriptor itself, so glibc refuses it first.
    const int error = kLibcCalls && !other_libc() && call.name == "utimensat"s ? EINVAL : EFAULT;
    EXPECT_ERRNO(error, call.call(null<const char>())) << call.name;
  }
}

TEST_F(Arguments, EmptyPaths) { every_call_gives(ENOENT, ""); }

TEST_F(Arguments, AbsentParents) {
  every_call_gives(ENOENT, "nothing/x");
  every_call_gives(ENOENT, "dir/nothing/../x");
  every_call_gives(ENOENT, "dangling/x");
  ASSERT_OK(t_rename("dir/sub", "moved"));
  every_call_gives(ENOENT, "dir/sub/x");
}

TEST_F(Arguments, AbsentNames) {
  every_call_gives(ENOENT, "nothing", kReads | kRemoves);
  ASSERT_OK(t_unlink("file"));
  every_call_gives(ENOENT, "file", kReads | kRemoves);
}

TEST_F(Arguments, FilesForDirectories) {
  every_call_gives(ENOTDIR, "file/x");
  every_call_gives(ENOTDIR, "rel/x");
  every_call_gives(ENOTDIR, "file/../x");
  every_call_gives(ENOTDIR, "file/", kReads | kRemoves);
  append_to("file", "more");
  every_call_gives(ENOTDIR, "file/x");
}

TEST_F(Arguments, LoopsOfSymlinks) {
  every_call_gives(ELOOP, "loop/x");
  every_call_gives(ELOOP, "loop1/../x");
  ASSERT_OK(t_symlink("newloop", "newloop"));
  every_call_gives(ELOOP, "newloop/x");
}

TEST_F(Arguments, LongNames) {
  every_call_gives(ENAMETOOLONG, (kLongName + "n").c_str());
  every_call_gives(ENAMETOOLONG, ("dir/" + kLongName + "n").c_str());
  every_call_gives(ENAMETOOLONG, (kLongName + "n/x").c_str());
}

TEST_F(Arguments, LongPaths) {
  std::string path;
  while (path.size() < PATH_MAX) path += "./";
  every_call_gives(ENAMETOOLONG, path.c_str());
}

TEST_F(Arguments, ClosedDirectories) {
  if (geteuid() == 0) GTEST_SKIP() << "root may do everything";
  every_call_gives(EACCES, "dir_none/inside");
  every_call_gives(EACCES, "dir_noexec/inside");
  every_call_gives(EACCES, "dir_none/nothing");
  ASSERT_OK(t_chmod("dir", 0600));
  every_call_gives(EACCES, "dir/a");
}

TEST_F(Arguments, DescriptorsThatAreNone) {
  EXPECT_ERRNO(EBADF, t_openat(99, "file", O_RDONLY));
  EXPECT_ERRNO(EBADF, t_openat2(99, "file", &kHow, sizeof kHow));
  EXPECT_ERRNO(EBADF, t_fstatat(99, "file", &ignored_stat, 0));
  EXPECT_ERRNO(EBADF, t_statx(99, "file", 0, STATX_ALL, &ignored_statx));
  EXPECT_ERRNO(EBADF, t_faccessat(99, "file", F_OK));
  EXPECT_ERRNO(EBADF, t_faccessat2(99, "file", F_OK, 0));
  EXPECT_ERRNO(EBADF, t_readlinkat(99, "rel", ignored, sizeof ignored));
  EXPECT_ERRNO(EBADF, t_mkdirat(99, "made", 0700));
  EXPECT_ERRNO(EBADF, t_mknodat(99, "made", S_IFIFO, 0));
  EXPECT_ERRNO(EBADF, t_symlinkat("x", 99, "made"));
  EXPECT_ERRNO(EBADF, t_linkat(99, "file", AT_FDCWD, "made", 0));
  EXPECT_ERRNO(EBADF, t_linkat(AT_FDCWD, "file", 99, "made", 0));
  EXPECT_ERRNO(EBADF, t_unlinkat(99, "file", 0));
  EXPECT_ERRNO(EBADF, t_renameat(99, "file", AT_FDCWD, "made"));
  EXPECT_ERRNO(EBADF, t_renameat2(AT_FDCWD, "file", 99, "made", 0));
  EXPECT_ERRNO(EBADF, t_fchmodat(99, "file", 0600));
  EXPECT_ERRNO(EBADF, t_fchownat(99, "file", -1, -1, 0));
  EXPECT_ERRNO(EBADF, t_utimensat(99, "file", nullptr, 0));
  EXPECT_ERRNO(EBADF, t_futimesat(99, "file", nullptr));
  EXPECT_ERRNO(EBADF, t_execveat(99, "script", kArgv, environ, 0));
  EXPECT_ERRNO(EBADF, t_fstat(99, &ignored_stat));
  EXPECT_ERRNO(EBADF, t_fstatfs(99, &ignored_statfs));
  EXPECT_ERRNO(EBADF, t_fchmod(99, 0600));
  EXPECT_ERRNO(EBADF, t_fchown(99, -1, -1));
  EXPECT_ERRNO(EBADF, t_fsetxattr(99, "user.x", "v", 1, 0));
  EXPECT_ERRNO(EBADF, t_fgetxattr(99, "user.x", ignored, 1));
  EXPECT_ERRNO(EBADF, t_flistxattr(99, ignored, 1));
  EXPECT_ERRNO(EBADF, t_fremovexattr(99, "user.x"));
}

TEST_F(Arguments, NullBuffers) {
  if (other_libc()) GTEST_SKIP() << "musl writes to structures itself";
  EXPECT_ERRNO(EFAULT, t_fstat(0, null<struct stat>()));
  EXPECT_ERRNO(EFAULT, t_fstatat(AT_FDCWD, "file", null<struct stat>(), 0));
  EXPECT_ERRNO(EFAULT, t_statx(AT_FDCWD, "file", 0, STATX_ALL, null<struct statx>()));
  EXPECT_ERRNO(EFAULT, t_statfs("file", null<struct statfs>()));
  EXPECT_ERRNO(EFAULT, t_readlink("rel", null<char>(), 10));
  EXPECT_ERRNO(EFAULT, t_symlink(null<char>(), "made"));
  EXPECT_ERRNO(EFAULT, t_setxattr("file", null<char>(), "v", 1, 0));
  EXPECT_ERRNO(EFAULT, t_setxattr("file", "user.x", null<char>(), 1, 0));
  EXPECT_ERRNO(EFAULT, t_getxattr("file", null<char>(), ignored, 1));
  EXPECT_FALSE(exists("made"));
  append_to("file", "more");  // the same once more on an object of the upper
  EXPECT_ERRNO(EFAULT, t_statfs("file", null<struct statfs>()));
  EXPECT_ERRNO(EFAULT, t_statx(AT_FDCWD, "file", 0, STATX_ALL, null<struct statx>()));
  EXPECT_ERRNO(EFAULT, t_setxattr("file", "user.x", null<char>(), 1, 0));
}

// What the kernel refuses an ordinary user, it refuses below ovlrun too.
TEST_F(Arguments, CallsThatWouldGoPastTheOverlay) {
  if (geteuid() == 0) GTEST_SKIP() << "root may do everything";
  EXPECT_ERRNO(EPERM, syscall(SYS_chroot, "dir"));
  EXPECT_ERRNO(EPERM, syscall(SYS_pivot_root, "dir", "dir2"));
  EXPECT_ERRNO(EPERM, syscall(SYS_mount, "x", "dir", "tmpfs", 0, 0));
  EXPECT_ERRNO(EPERM, syscall(SYS_umount2, "dir", 0));
  EXPECT_ERRNO(EPERM, syscall(SYS_swapon, "file", 0));
  EXPECT_ERRNO(EPERM, syscall(SYS_acct, "file"));
}

TEST_F(Arguments, NoDescriptorLeft) {
  rlimit before, few = {};
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
  int next = dup(0);
  close(next);
  few.rlim_cur = rlim_t(next);
  few.rlim_max = before.rlim_max;
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
  EXPECT_ERRNO(EMFILE, t_open("file", O_RDONLY));
  EXPECT_ERRNO(EMFILE, t_open("made", O_WRONLY | O_CREAT, 0600));
  EXPECT_ERRNO(EMFILE, t_open("made", O_WRONLY | O_CREAT | O_EXCL, 0600));
  EXPECT_ERRNO(EMFILE, t_open("file", O_WRONLY | O_TRUNC));
  struct stat st;
  EXPECT_OK(t_stat("file", &st));
  EXPECT_NE(0, st.st_size);
  EXPECT_ERRNO(ENOENT, t_stat("made", &st));
  EXPECT_OK(t_stat("dir/sub/x", &st));
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
}

TEST_F(Arguments, SizeLimitOfTheCaller) {
  static volatile int signals;
  signals = 0;
  const auto old = signal(SIGXFSZ, [](int) { signals = signals + 1; });
  const int fd = t_open("made", O_WRONLY | O_CREAT, 0600);
  EXPECT_OK(fd);
  close(fd);
  rlimit before, small = {};
  ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &before));
  small.rlim_cur = 1000;
  small.rlim_max = before.rlim_max;
  ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
  EXPECT_OK(t_truncate("made", 1000));
  EXPECT_EQ(0, signals);
  EXPECT_ERRNO(EFBIG, t_truncate("made", 1001));
  EXPECT_EQ(1, signals);
  ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &before));
  struct stat st;
  EXPECT_OK(t_stat("made", &st));
  EXPECT_EQ(1000, st.st_size);
  signal(SIGXFSZ, old);
}

// As agents do that hold secrets.
TEST_F(Arguments, CallerThatAsksNotToBeRead) {
  ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 0));
  struct stat st;
  EXPECT_OK(t_stat("file", &st));
  EXPECT_OK(t_chdir("dir"));
  const int fd = t_open("../made", O_WRONLY | O_CREAT, 0600);
  EXPECT_OK(fd);
  close(fd);
  EXPECT_OK(t_chdir(".."));
  EXPECT_OK(t_stat("made", &st));
  ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
}

}  // namespace
}  // namespace syscalls
