// stat and its relatives, access, readlink, statfs, name_to_handle_at: what they tell, and that
// they tell the same.
#include <string.h>
#include <sys/sysmacros.h>

#include <map>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

TREE_SUITE(Stat);

struct statx statx_of(const std::string& path, int flags = AT_SYMLINK_NOFOLLOW) {
  struct statx st = {};
  EXPECT_OK(t_statx(AT_FDCWD, path.c_str(), flags, STATX_BASIC_STATS | STATX_BTIME, &st)) << path;
  return st;
}

void expect_same(const struct stat& a, const struct stat& b) {
  EXPECT_EQ(a.st_dev, b.st_dev);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_EQ(a.st_mode, b.st_mode);
  EXPECT_EQ(a.st_nlink, b.st_nlink);
  EXPECT_EQ(a.st_uid, b.st_uid);
  EXPECT_EQ(a.st_gid, b.st_gid);
  EXPECT_EQ(a.st_rdev, b.st_rdev);
  EXPECT_EQ(a.st_size, b.st_size);
  EXPECT_EQ(a.st_blocks, b.st_blocks);
  EXPECT_EQ(a.st_mtim, b.st_mtim);
  EXPECT_EQ(a.st_ctim, b.st_ctim);
}

void expect_same(const struct stat& a, const struct statx& b) {
  EXPECT_EQ(a.st_dev, makedev(b.stx_dev_major, b.stx_dev_minor));
  EXPECT_EQ(a.st_ino, b.stx_ino);
  EXPECT_EQ(a.st_mode, b.stx_mode);
  EXPECT_EQ(a.st_nlink, b.stx_nlink);
  EXPECT_EQ(a.st_uid, b.stx_uid);
  EXPECT_EQ(a.st_gid, b.stx_gid);
  EXPECT_EQ(a.st_size, off_t(b.stx_size));
  EXPECT_EQ(a.st_blocks, blkcnt_t(b.stx_blocks));
  EXPECT_EQ(a.st_mtim.tv_sec, b.stx_mtime.tv_sec);
  EXPECT_EQ(a.st_mtim.tv_nsec, long(b.stx_mtime.tv_nsec));
  EXPECT_EQ(a.st_ctim.tv_nsec, long(b.stx_ctime.tv_nsec));
}

// What a change of metadata or data leaves in the upper, beside objects that nobody touched.
void touch_some() {
  ASSERT_OK(t_chmod("file", 0600));
  ASSERT_OK(t_chmod("dir/sub", 0750));
  append_to("dir/a", "more\n");
  write_file("dir/new", "new\n");
  ASSERT_OK(t_mkdir("dir/newdir", 0755));
  ASSERT_OK(t_symlink("a", "dir/newlink"));
  ASSERT_OK(t_mknod("dir/newfifo", S_IFIFO | 0600, 0));
  ASSERT_OK(t_rename("other", "dir/renamed"));
  ASSERT_OK(t_rename("dir2", "renameddir"));
}

const std::vector<std::string> kAfterTouch = {
    ".",           "file",       "dir",          "dir/sub",     "dir/a",
    "dir/b",       "dir/new",    "dir/newdir",   "dir/newlink", "dir/newfifo",
    "dir/renamed", "renameddir", "renameddir/a", "rel",         "abs",
    "loop",        "fifo",       "socket",       "hard1",       "dir/hard3",
    "sparse",      "big",        "dir_none"};

TEST_F(Stat, AllSpellingsTellTheSame) {
  touch_some();
  for (const std::string& path : kAfterTouch) {
    SCOPED_TRACE(path);
    struct stat st = stat_of(path), other = {};
    EXPECT_OK(t_fstatat(AT_FDCWD, path.c_str(), &other, AT_SYMLINK_NOFOLLOW));
    expect_same(st, other);
    expect_same(st, statx_of(path));
    Fd fd(t_open(path.c_str(), O_PATH | O_NOFOLLOW));
    expect_same(st, fstat_of(fd));
    EXPECT_OK(t_fstatat(fd, "", &other, AT_EMPTY_PATH));
    expect_same(st, other);
    struct statx x = {};
    EXPECT_OK(t_statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x));
    expect_same(st, x);
    if (S_ISLNK(st.st_mode)) continue;
    EXPECT_OK(t_stat(path.c_str(), &other));
    expect_same(st, other);
    expect_same(st, statx_of(path, 0));
  }
}

TEST_F(Stat, AnOpenDescriptorTellsTheSame) {
  touch_some();
  for (const char* path : {"file", "dir", "dir/sub", "dir/a", "dir/b", "dir/new", "dir/renamed",
                           "renameddir", "renameddir/a", "hard1"}) {
    SCOPED_TRACE(path);
    expect_same(stat_of(path), fstat_of(Fd(t_open(path, O_RDONLY))));
  }
  for (const char* path : {"file", "dir/a", "dir/b", "dir/new", "hard1"}) {
    SCOPED_TRACE(path);
    Fd fd(t_open(path, O_RDWR));
    expect_same(stat_of(path), fstat_of(fd));
  }
}

TEST_F(Stat, TypesAndModes) {
  const std::map<std::string, mode_t> expected = {
      {"file", S_IFREG | 0644},    {"readonly", S_IFREG | 0444}, {"noperm", S_IFREG},
      {"script", S_IFREG | 0755},  {"dir", S_IFDIR | 0755},      {"dir_none", S_IFDIR},
      {"sticky", S_IFDIR | 01777}, {"setgid", S_IFDIR | 02755},  {"rel", S_IFLNK | 0777},
      {"fifo", S_IFIFO | 0644},    {"socket", S_IFSOCK | 0755}};
  for (const auto& [path, mode] : expected) EXPECT_EQ(mode, stat_of(path).st_mode) << path;
}

TEST_F(Stat, SizesAndTimes) {
  EXPECT_EQ(12, stat_of("file").st_size);
  EXPECT_EQ(kBigSize, stat_of("big").st_size);
  EXPECT_EQ(kSparseSize, stat_of("sparse").st_size);
  EXPECT_GT(256, stat_of("sparse").st_blocks);
  EXPECT_LE(kBigSize / 512, stat_of("big").st_blocks);
  EXPECT_EQ(5, stat_of("rel").st_size);
  EXPECT_EQ(kFileTime, stat_of("file").st_mtim);
  EXPECT_EQ(kFileTime, stat_of("rel").st_mtim);
  EXPECT_EQ(kDirTime, stat_of("dir").st_mtim);
  EXPECT_EQ(3u, stat_of("hard2").st_nlink);
  EXPECT_EQ(identity("hard1"), identity("dir/hard3"));
}

TEST_F(Stat, FollowsUnlessTold) {
  struct stat st = {};
  for (const char* path : {"rel", "abs", "dotted", "dir/link"}) {
    EXPECT_OK(t_stat(path, &st));
    EXPECT_EQ(stat_of("dir/a").st_ino, st.st_ino) << path;
    EXPECT_OK(t_fstatat(AT_FDCWD, path, &st, 0));
    EXPECT_EQ(stat_of("dir/a").st_ino, st.st_ino) << path;
    EXPECT_TRUE(S_ISLNK(stat_of(path).st_mode)) << path;
  }
  EXPECT_EQ(identity("dir"), identity("dirlink/"));
  EXPECT_EQ(identity("dir"), identity("dirlink/."));
  EXPECT_EQ(identity("."), identity("dirlink/.."));
  EXPECT_EQ(identity("dir"), identity("dirlink2/.."));
}

TEST_F(Stat, RefusesAsEveryWalkDoes) {
  struct stat st;
  struct statx stx;
  const std::pair<const char*, int> cases[] = {
      {"nothing", ENOENT}, {"dangling", ENOENT}, {"file/", ENOTDIR},    {"file/x", ENOTDIR},
      {"loop", ELOOP},     {"nothing/", ENOENT}, {"dangling/", ENOENT}, {"", ENOENT}};
  for (auto [path, error] : cases) {
    EXPECT_ERRNO(error, t_stat(path, &st)) << path;
    EXPECT_ERRNO(error, t_fstatat(AT_FDCWD, path, &st, 0)) << path;
    EXPECT_ERRNO(error, t_statx(AT_FDCWD, path, 0, STATX_ALL, &stx)) << path;
  }
  EXPECT_ERRNO(ELOOP, t_lstat("loop/", &st));
  EXPECT_ERRNO(ENOTDIR, t_lstat("rel/", &st));
  EXPECT_ERRNO(ENAMETOOLONG, t_lstat((kLongName + "n").c_str(), &st));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_stat("dir_none/inside", &st));
  EXPECT_ERRNO(EACCES, t_lstat("dir_noexec/inside", &st));
  EXPECT_OK(t_stat("dir_noread/inside", &st));
}

TEST_F(Stat, ChecksItsFlags) {
  struct stat st;
  struct statx stx;
  EXPECT_ERRNO(EINVAL, t_fstatat(AT_FDCWD, "file", &st, 0x40000000));
  EXPECT_ERRNO(EINVAL, t_statx(AT_FDCWD, "file", 0x40000000, STATX_ALL, &stx));
  EXPECT_ERRNO(EINVAL, t_statx(AT_FDCWD, "file", AT_STATX_SYNC_TYPE, STATX_ALL, &stx));
  EXPECT_ERRNO(EINVAL, t_statx(AT_FDCWD, "file", 0, 0x80000000u, &stx));
  EXPECT_OK(t_fstatat(AT_FDCWD, "file", &st, AT_NO_AUTOMOUNT));
  EXPECT_OK(t_statx(AT_FDCWD, "file", AT_STATX_DONT_SYNC, STATX_MODE, &stx));
  EXPECT_EQ(S_IFREG | 0644, stx.stx_mode);
}

TEST_F(Stat, OfDescriptors) {
  struct stat st;
  EXPECT_ERRNO(EBADF, t_fstat(-1, &st));
  EXPECT_ERRNO(EBADF, t_fstat(9999, &st));
  EXPECT_ERRNO(EBADF, t_fstatat(-1, "", &st, AT_EMPTY_PATH));
  EXPECT_ERRNO(EBADF, t_fstatat(9999, "file", &st, 0));
  EXPECT_OK(t_fstatat(-1, (cwd() + "/file").c_str(), &st, 0));
  EXPECT_OK(t_fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
  expect_same(stat_of("."), st);
  Fd file(t_open("file", O_RDONLY)), dir(t_open("dir", O_RDONLY));
  EXPECT_ERRNO(ENOTDIR, t_fstatat(file, "x", &st, 0));
  EXPECT_ERRNO(ENOENT, t_fstatat(file, "", &st, 0));
  EXPECT_OK(t_fstatat(dir, "a", &st, 0));
  expect_same(stat_of("dir/a"), st);
  int pipes[2];
  ASSERT_EQ(0, pipe(pipes));
  EXPECT_TRUE(S_ISFIFO(fstat_of(pipes[0]).st_mode));
  EXPECT_OK(t_fstatat(pipes[0], "", &st, AT_EMPTY_PATH));
  close(pipes[0]);
  close(pipes[1]);
}

TEST_F(Stat, EveryObjectHasItsOwnInode) {
  touch_some();
  std::map<std::pair<dev_t, ino_t>, std::string> seen;
  for (const char* directory : {".", "dir", "dir/sub", "dir/newdir", "renameddir", "names"}) {
    for (const std::string& name : names_in(directory)) {
      std::string path = directory + "/"s + name;
      struct stat st = stat_of(path);
      EXPECT_EQ(stat_of(".").st_dev, st.st_dev) << path;
      if (path.find("hard") != path.npos) continue;
      auto [it, fresh] = seen.insert({{st.st_dev, st.st_ino}, path});
      EXPECT_TRUE(fresh) << path << " and " << it->second;
    }
  }
}

// Each operation that makes ovlrun keep a copy must leave the program with the same object.
class InodeStays : public Tree {
 protected:
  template <class Change>
  void expect_stays(const std::string& path, Change change, const std::string& now = "") {
    Identity before = identity(path);
    ASSERT_OK(change());
    EXPECT_EQ(before, identity(now.empty() ? path : now)) << path;
  }
};

TEST_F(InodeStays, Chmod) {
  expect_stays("file", [] { return t_chmod("file", 0600); });
  expect_stays("dir", [] { return t_chmod("dir", 0700); });
  expect_stays("dir/sub/deeper/z", [] { return t_chmod("dir/sub/deeper/z", 0600); });
}

TEST_F(InodeStays, OpenForWriting) {
  auto open_and_close = [](const char* path, int flags) { return close(t_open(path, flags)); };
  expect_stays("file", [&] { return open_and_close("file", O_RDWR); });
  expect_stays("big", [&] { return open_and_close("big", O_WRONLY | O_TRUNC); });
  expect_stays("dir/sub", [&] { return open_and_close("dir/sub/x", O_RDWR); });
}

TEST_F(InodeStays, Truncate) {
  expect_stays("big", [] { return t_truncate("big", 5); });
}

TEST_F(InodeStays, Times) {
  timespec times[2] = {{1, 2}, {3, 4}};
  expect_stays("file", [&] { return t_utimensat(AT_FDCWD, "file", times, 0); });
  expect_stays("dir", [&] { return t_utimensat(AT_FDCWD, "dir", times, 0); });
}

TEST_F(InodeStays, Rename) {
  expect_stays(
      "file", [] { return t_rename("file", "dir/moved"); }, "dir/moved");
  expect_stays(
      "dir/sub", [] { return t_rename("dir/sub", "dir2/sub"); }, "dir2/sub");
}

TEST_F(InodeStays, OfSymlinksAndSpecialFiles) {
  timespec times[2] = {{1, 2}, {3, 4}};
  expect_stays("fifo", [] { return t_chmod("fifo", 0600); });
  expect_stays("rel", [&] { return t_utimensat(AT_FDCWD, "rel", times, AT_SYMLINK_NOFOLLOW); });
  expect_stays(
      "rel", [] { return t_rename("rel", "rel2"); }, "rel2");
  expect_stays(
      "fifo", [] { return t_rename("fifo", "dir/fifo"); }, "dir/fifo");
  expect_stays(
      "socket", [] { return t_rename("socket", "emptydir/socket"); }, "emptydir/socket");
  expect_stays("emptydir/socket", [] { return t_chmod("emptydir/socket", 0700); });
  expect_stays("dir/up", [] { return t_lchown("dir/up", geteuid(), getegid()); });
  expect_stays(
      "dir/up", [] { return t_link("dir/up", "dir2/up"); }, "dir2/up");
  EXPECT_EQ(identity("dir/up"), identity("dir2/up"));
  EXPECT_EQ(2u, stat_of("dir/up").st_nlink);
}

TEST_F(InodeStays, OfSymlinksAndSpecialFilesWhoseNamesComeAndGo) {
  for (const char* path : {"dangling", "fifo", "socket"}) {
    const Identity before = identity(path);
    ASSERT_OK(t_link(path, "dir/second"));
    ASSERT_OK(t_unlink(path));
    EXPECT_EQ(before, identity("dir/second")) << path;
    EXPECT_EQ(1u, stat_of("dir/second").st_nlink);
    ASSERT_OK(t_rename("dir/second", path));
    EXPECT_EQ(before, identity(path));
    // What comes in its place is something else.
    ASSERT_OK(t_rename(path, "emptydir/kept"));
    ASSERT_OK(t_mknod(path, S_IFIFO | 0600, 0));
    ASSERT_OK(t_rename(path, "dir/second"));
    ASSERT_OK(t_symlink("text", path));
    EXPECT_NE(before.ino, identity("dir/second").ino);
    EXPECT_NE(before.ino, identity(path).ino);
    ASSERT_OK(t_rename(path, "dir/second"));
    EXPECT_EQ("text", target_of("dir/second"));
    ASSERT_OK(t_unlink("dir/second"));
    EXPECT_EQ(before, identity("emptydir/kept"));
    ASSERT_OK(t_unlink("emptydir/kept"));
  }
}

TEST_F(InodeStays, OfSymlinksAndSpecialFilesInListings) {
  ASSERT_OK(t_rename("dir/link", "dir/moved"));
  ASSERT_OK(t_rename("fifo", "dir/fifo"));
  ASSERT_OK(t_link("socket", "emptydir/socket"));
  ASSERT_OK(t_mkdir("new", 0755));
  ASSERT_OK(t_rename("rel", "new/rel"));
  ASSERT_OK(t_symlink("x", "new/own"));
  for (const std::string directory : {"dir", "emptydir", "new"}) {
    Fd fd(t_open(directory.c_str(), O_RDONLY | O_DIRECTORY));
    for (const Entry& entry : entries_of(fd)) {
      if (entry.name == "." || entry.name == "..") continue;
      const struct stat st = stat_of(directory + "/" + entry.name);
      EXPECT_EQ(st.st_ino, entry.ino) << directory << "/" << entry.name;
      EXPECT_EQ((st.st_mode & S_IFMT) >> 12, mode_t{entry.type}) << directory << "/" << entry.name;
    }
  }
}

TEST_F(InodeStays, OfSymlinksAndSpecialFilesByDescriptor) {
  for (const char* path : {"rel", "fifo", "socket"}) {
    const Identity before = identity(path);
    Fd older(t_open(path, O_PATH | O_NOFOLLOW));
    ASSERT_OK(t_rename(path, "dir2/moved"));
    Fd newer(t_open("dir2/moved", O_PATH | O_NOFOLLOW));
    EXPECT_EQ(before, identity(newer)) << path;
    EXPECT_EQ(before, identity("dir2/moved")) << path;
    EXPECT_EQ(before, identity(older)) << path;
    ASSERT_OK(t_unlink("dir2/moved"));
  }
}

TEST_F(InodeStays, OfWhatIsBelowARenamedDirectory) {
  expect_stays(
      "dir/sub/deeper/z", [] { return t_rename("dir", "dir2/inner"); }, "dir2/inner/sub/deeper/z");
  expect_stays("dir2/inner/sub/x", [] { return t_chmod("dir2/inner/sub/x", 0600); });
}

TEST_F(InodeStays, Link) {
  expect_stays(
      "file", [] { return t_link("file", "dir/linked"); }, "dir/linked");
  EXPECT_EQ(identity("file"), identity("dir/linked"));
}

TEST_F(InodeStays, CreatingInADirectory) {
  expect_stays("dir", [] { return t_mkdir("dir/new", 0755); });
  expect_stays("dir/sub", [] { return t_unlink("dir/sub/x"); });
}

TEST_F(InodeStays, FirstOneThingThenAnother) {
  Identity before = identity("dir/a");
  ASSERT_OK(t_chmod("dir/a", 0600));
  append_to("dir/a", "more");
  ASSERT_OK(t_rename("dir/a", "b"));
  ASSERT_OK(t_link("b", "c"));
  ASSERT_OK(t_unlink("b"));
  ASSERT_OK(t_rename("c", "dir2/d"));
  EXPECT_EQ(before, identity("dir2/d"));
  EXPECT_EQ("a\nmore", content_of("dir2/d"));
  EXPECT_EQ(1u, stat_of("dir2/d").st_nlink);
}

TREE_SUITE(Access);

TEST_F(Access, TellsWhatTheModeAllows) {
  for (const char* path : {"file", "dir", "rel", "dir/", "fifo", "noperm", "dir_none"})
    EXPECT_OK(t_access(path, F_OK)) << path;
  EXPECT_OK(t_access("file", R_OK | W_OK));
  EXPECT_OK(t_access("script", R_OK | W_OK | X_OK));
  EXPECT_OK(t_access("dir", R_OK | W_OK | X_OK));
  EXPECT_ERRNO(EACCES, t_access("file", X_OK));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_access("readonly", W_OK));
  EXPECT_ERRNO(EACCES, t_access("noperm", R_OK));
  EXPECT_ERRNO(EACCES, t_access("dir_ro", W_OK));
  EXPECT_ERRNO(EACCES, t_access("dir_noexec", X_OK));
  EXPECT_ERRNO(EACCES, t_access("dir_none/inside", F_OK));
  EXPECT_ERRNO(EACCES, t_access("dir_noread", R_OK));
}

TEST_F(Access, FollowsChmod) {
  ASSERT_OK(t_chmod("file", 0755));
  EXPECT_OK(t_access("file", X_OK));
  ASSERT_OK(t_chmod("script", 0644));
  EXPECT_ERRNO(EACCES, t_access("script", X_OK));
  if (geteuid() == 0) return;
  ASSERT_OK(t_chmod("dir", 0));
  EXPECT_ERRNO(EACCES, t_access("dir", R_OK));
  EXPECT_ERRNO(EACCES, t_access("dir/a", F_OK));
  ASSERT_OK(t_chmod("file", 0400));
  EXPECT_OK(t_access("file", R_OK));
  EXPECT_ERRNO(EACCES, t_access("file", W_OK));
}

TEST_F(Access, AllSpellings) {
  Fd dir(t_open("dir", O_PATH));
  EXPECT_OK(t_faccessat(dir, "a", R_OK));
  EXPECT_OK(t_faccessat2(dir, "a", R_OK, AT_EACCESS));
  EXPECT_OK(t_faccessat2(dir, "a", W_OK, 0));
  EXPECT_OK(t_faccessat2(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
  EXPECT_ERRNO(ENOENT, t_faccessat2(AT_FDCWD, "dangling", F_OK, 0));
  EXPECT_ERRNO(ENOENT, t_faccessat(AT_FDCWD, "dangling", F_OK));
  EXPECT_OK(t_faccessat2(dir, "", X_OK, AT_EMPTY_PATH));
  EXPECT_ERRNO(EINVAL, t_access("file", 8));
  EXPECT_ERRNO(EINVAL, t_faccessat2(AT_FDCWD, "file", R_OK, 0x40000000));
  EXPECT_ERRNO(EBADF, t_faccessat(-1, "file", R_OK));
  EXPECT_ERRNO(ENOTDIR, t_access("file/", F_OK));
  EXPECT_ERRNO(ELOOP, t_access("loop", F_OK));
}

TREE_SUITE(Readlink);

TEST_F(Readlink, GivesTheTextAsItIs) {
  EXPECT_EQ("dir/a", target_of("rel"));
  EXPECT_EQ(cwd() + "/dir/a", target_of("abs"));
  EXPECT_EQ("nothing/here", target_of("dangling"));
  EXPECT_EQ("loop", target_of("loop"));
  EXPECT_EQ("./dir/../dir/./sub/../a", target_of("dotted"));
  EXPECT_EQ("a", target_of("dirlink/link"));
  EXPECT_EQ("/", target_of("toroot"));
}

TEST_F(Readlink, CutsAtTheBuffersEnd) {
  char buffer[8] = "#######";
  EXPECT_EQ(3, t_readlink("rel", buffer, 3));
  EXPECT_STREQ("dir####", buffer);
  if (!other_libc()) {
    EXPECT_ERRNO(EINVAL, t_readlink("rel", buffer, 0));
  }
}

TEST_F(Readlink, RefusesWhatIsNone) {
  char buffer[64];
  for (const char* path : {"file", "dir", "fifo", "dirlink/", "dir/."})
    EXPECT_ERRNO(EINVAL, t_readlink(path, buffer, sizeof buffer)) << path;
  EXPECT_ERRNO(ENOENT, t_readlink("nothing", buffer, sizeof buffer));
  EXPECT_ERRNO(ENOTDIR, t_readlink("rel/", buffer, sizeof buffer));
  EXPECT_ERRNO(ENOENT, t_readlink("", buffer, sizeof buffer));
  Fd dir(t_open("dir", O_RDONLY));
  EXPECT_EQ(1, t_readlinkat(dir, "link", buffer, sizeof buffer));
  EXPECT_ERRNO(ENOENT, t_readlinkat(dir, "", buffer, sizeof buffer));  // not a symlink's descriptor
  EXPECT_ERRNO(EBADF, t_readlinkat(-1, "link", buffer, sizeof buffer));
}

TEST_F(Readlink, SymlinksOfTheUpper) {
  ASSERT_OK(t_symlink("file", "dir/made"));
  EXPECT_EQ("file", target_of("dir/made"));
  ASSERT_OK(t_rename("rel", "dir/rel"));
  EXPECT_EQ("dir/a", target_of("dir/rel"));
  EXPECT_EQ(5, stat_of("dir/rel").st_size);
}

TREE_SUITE(Statfs);

TEST_F(Statfs, TellsOneFileSystem) {
  struct statfs whole = {}, one = {};
  ASSERT_OK(t_statfs(".", &whole));
  EXPECT_LT(0, long(whole.f_bsize));
  EXPECT_EQ(NAME_MAX, whole.f_namelen);
  for (const char* path : {"file", "dir", "rel", "absdir/sub", "fifo"}) {
    ASSERT_OK(t_statfs(path, &one)) << path;
    EXPECT_EQ(whole.f_type, one.f_type) << path;
    EXPECT_EQ(whole.f_bsize, one.f_bsize) << path;
  }
  write_file("dir/new", "");
  ASSERT_OK(t_fstatfs(Fd(t_open("dir/new", O_RDWR)), &one));
  EXPECT_EQ(whole.f_type, one.f_type);
  ASSERT_OK(t_fstatfs(Fd(t_open("dir", O_RDONLY)), &one));
  EXPECT_EQ(whole.f_type, one.f_type);
}

TEST_F(Statfs, Refuses) {
  struct statfs st;
  EXPECT_ERRNO(ENOENT, t_statfs("nothing", &st));
  EXPECT_ERRNO(ENOENT, t_statfs("dangling", &st));
  EXPECT_ERRNO(ENOTDIR, t_statfs("file/", &st));
  EXPECT_ERRNO(EBADF, t_fstatfs(-1, &st));
  ASSERT_OK(t_unlink("file"));
  EXPECT_ERRNO(ENOENT, t_statfs("file", &st));
}

TREE_SUITE(Handle);

TEST_F(Handle, OfAnObjectStaysTheSame) {
  struct {
    file_handle head;
    unsigned char bytes[MAX_HANDLE_SZ];
  } first = {}, second = {};
  int mount;
  first.head.handle_bytes = MAX_HANDLE_SZ;
  if (missing(Feature::kFileHandles)) GTEST_SKIP() << "no file handles on this file system";
  ASSERT_OK(t_name_to_handle_at(AT_FDCWD, "file", &first.head, &mount, 0));
  second.head.handle_bytes = MAX_HANDLE_SZ;
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_OK(t_name_to_handle_at(fd, "", &second.head, &mount, AT_EMPTY_PATH));
  ASSERT_EQ(first.head.handle_bytes, second.head.handle_bytes);
  EXPECT_EQ(0, memcmp(first.head.f_handle, second.head.f_handle, first.head.handle_bytes));
}

TEST_F(Handle, SaysHowLargeItIs) {
  file_handle handle = {};
  int mount;
  if (missing(Feature::kFileHandles)) GTEST_SKIP() << "no file handles on this file system";
  EXPECT_ERRNO(EOVERFLOW, t_name_to_handle_at(AT_FDCWD, "file", &handle, &mount, 0));
  EXPECT_LT(0u, handle.handle_bytes);
  EXPECT_ERRNO(ENOENT, t_name_to_handle_at(AT_FDCWD, "nothing", &handle, &mount, 0));
  EXPECT_ERRNO(EINVAL, t_name_to_handle_at(AT_FDCWD, "file", &handle, &mount, 0x40000000));
}

}  // namespace
}  // namespace syscalls
