// Directories: making, removing, listing while they change.
#include <string.h>

#include <algorithm>
#include <map>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

constexpr int kMany = 5000, kSome = 1000;  // entries

const Names kDirNames = {"a", "b", "c", "sub", "link", "up", "hard3"};

TREE_SUITE(Mkdir);

TEST_F(Mkdir, MakesAnEmptyDirectory) {
  ASSERT_OK(t_mkdir("dir/new", 0777));
  EXPECT_EQ(mode_t(S_IFDIR | 0755), stat_of("dir/new").st_mode);
  EXPECT_EQ(geteuid(), stat_of("dir/new").st_uid);
  EXPECT_EQ(Names{}, names_in("dir/new"));
  ASSERT_OK(t_mkdir("trailing/", 0700));
  EXPECT_EQ(mode_t(S_IFDIR | 0700), stat_of("trailing").st_mode);
  Fd dir(t_open("dir/sub", O_PATH));
  ASSERT_OK(t_mkdirat(dir, "new", 01777));
  EXPECT_EQ(mode_t(S_IFDIR | 01755), stat_of("dir/sub/new").st_mode);
}

TEST_F(Mkdir, InheritsSetgid) {
  ASSERT_OK(t_mkdir("setgid/new", 0755));
  EXPECT_EQ(mode_t(S_IFDIR | 02755), stat_of("setgid/new").st_mode);
  EXPECT_EQ(stat_of("setgid").st_gid, stat_of("setgid/new").st_gid);
}

TEST_F(Mkdir, RefusesWhatExists) {
  for (const char* path : {"file", "dir", "dir/", "rel", "dangling", "loop", ".", "..", "/",
                           "dir/..", "dirlink", "fifo"}) {
    EXPECT_ERRNO(EEXIST, t_mkdir(path, 0755)) << path;
  }
  EXPECT_ERRNO(ENOENT, t_mkdir("nothing/new", 0755));
  EXPECT_ERRNO(ENOTDIR, t_mkdir("file/new", 0755));
  EXPECT_ERRNO(ENOENT, t_mkdir("", 0755));
  EXPECT_ERRNO(ENAMETOOLONG, t_mkdir((kLongName + "x").c_str(), 0755));
  EXPECT_ERRNO(ELOOP, t_mkdir("loop/new", 0755));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_mkdir("dir_ro/new", 0755));
  EXPECT_ERRNO(EACCES, t_mkdir("dir_none/new", 0755));
  EXPECT_ERRNO(EEXIST, t_mkdir("dir_ro/inside", 0755));
}

TEST_F(Mkdir, InPlaceOfWhatWasRemovedIsEmpty) {
  ASSERT_OK(t_unlink("dir/sub/deeper/z"));
  ASSERT_OK(t_rmdir("dir/sub/deeper"));
  ASSERT_OK(t_mkdir("dir/sub/deeper", 0755));
  EXPECT_EQ(Names{}, names_in("dir/sub/deeper"));
  EXPECT_FALSE(exists("dir/sub/deeper/z"));
  EXPECT_EQ(mode_t(S_IFDIR | 0755), stat_of("dir/sub/deeper").st_mode);
  EXPECT_ERRNO(ENOENT, t_chmod("dir/sub/deeper/z", 0600));
  ASSERT_OK(t_unlink("file"));
  ASSERT_OK(t_mkdir("file", 0755));
  EXPECT_EQ(Names{}, names_in("file"));
}

TEST_F(Mkdir, DoesNotFollowADanglingSymlink) {
  EXPECT_ERRNO(EEXIST, t_mkdir("dangling1", 0755));
  EXPECT_FALSE(exists("tobemade"));
}

TEST_F(Mkdir, RefusesNewNamesInARemovedDirectory) {
  Fd dir(t_open("emptydir", O_RDONLY));
  ASSERT_OK(t_rmdir("emptydir"));
  EXPECT_ERRNO(ENOENT, t_mkdirat(dir, "new", 0755));
  EXPECT_ERRNO(ENOENT, t_openat(dir, "new", O_WRONLY | O_CREAT, 0644));
  EXPECT_ERRNO(ENOENT, t_symlinkat("x", dir, "new"));
}

TREE_SUITE(Rmdir);

TEST_F(Rmdir, RemovesAnEmptyDirectory) {
  ASSERT_OK(t_rmdir("emptydir"));
  EXPECT_FALSE(exists("emptydir"));
  EXPECT_ERRNO(ENOENT, t_rmdir("emptydir"));
  EXPECT_FALSE(names_in(".").contains("emptydir"));
  ASSERT_OK(t_mkdir("dir/new", 0755));
  ASSERT_OK(t_rmdir("dir/new/"));
  EXPECT_EQ(kDirNames, names_in("dir"));
  Fd at(t_open(".", O_PATH));
  ASSERT_OK(t_unlinkat(at, "sticky", AT_REMOVEDIR));
  EXPECT_FALSE(exists("sticky"));
}

TEST_F(Rmdir, RefusesWhatHasEntries) {
  EXPECT_ERRNO(ENOTEMPTY, t_rmdir("dir"));
  EXPECT_ERRNO(ENOTEMPTY, t_rmdir("dir/sub"));
  write_file("emptydir/new", "");
  EXPECT_ERRNO(ENOTEMPTY, t_rmdir("emptydir"));
  ASSERT_OK(t_unlink("dir/sub/x"));
  EXPECT_ERRNO(ENOTEMPTY, t_rmdir("dir/sub"));
}

TEST_F(Rmdir, TakesADirectoryThatWasEmptied) {
  for (const char* path : {"dir/sub/x", "dir/sub/y", "dir/sub/deeper/z"})
    ASSERT_OK(t_unlink(path)) << path;
  ASSERT_OK(t_rmdir("dir/sub/deeper"));
  EXPECT_EQ(Names{}, names_in("dir/sub"));
  ASSERT_OK(t_rmdir("dir/sub"));
  EXPECT_FALSE(exists("dir/sub"));
  EXPECT_FALSE(exists("dir/sub/x"));
}

TEST_F(Rmdir, RefusesOtherThings) {
  EXPECT_ERRNO(ENOTDIR, t_rmdir("file"));
  EXPECT_ERRNO(ENOTDIR, t_rmdir("file/"));
  EXPECT_ERRNO(ENOTDIR, t_rmdir("dirlink"));
  EXPECT_ERRNO(ENOTDIR, t_rmdir("dirlink/"));
  EXPECT_ERRNO(EINVAL, t_rmdir("emptydir/."));
  EXPECT_ERRNO(EINVAL, t_rmdir("."));
  EXPECT_ERRNO(ENOTEMPTY, t_rmdir("dir/sub/.."));
  EXPECT_ERRNO(EBUSY, t_rmdir("/"));
  EXPECT_ERRNO(ENOENT, t_rmdir("nothing"));
  EXPECT_ERRNO(ENOENT, t_rmdir("nothing/x"));
  EXPECT_ERRNO(ENOENT, t_rmdir(""));
  EXPECT_ERRNO(EINVAL, t_unlinkat(AT_FDCWD, "emptydir", AT_REMOVEDIR | 1));
  EXPECT_TRUE(exists("emptydir"));
  if (geteuid() == 0) return;
  ASSERT_OK(t_mkdir("dir2/locked", 0755));
  ASSERT_OK(t_chmod("dir2", 0555));
  EXPECT_ERRNO(EACCES, t_rmdir("dir2/locked"));
}

TEST_F(Rmdir, TakesADirectoryThatItsOwnerClosed) {
  ASSERT_OK(t_chmod("emptydir", 0));
  ASSERT_OK(t_rmdir("emptydir"));
  EXPECT_FALSE(exists("emptydir"));
  ASSERT_OK(t_mkdir("closed", 0));
  ASSERT_OK(t_rmdir("closed"));
}

// As rm -rf does it.
void remove_tree(const std::string& path) {
  for (const std::string& name : names_in(path)) {
    std::string inner = path + "/" + name;
    if (S_ISDIR(stat_of(inner).st_mode)) {
      remove_tree(inner);
    } else {
      ASSERT_OK(t_unlink(inner.c_str())) << inner;
    }
  }
  ASSERT_OK(t_rmdir(path.c_str())) << path;
}

TEST_F(Rmdir, RemoveMakeAndMoveBack) {
  for (int round = 0; round < 3; round++) {
    ASSERT_OK(t_rename("dir", "saved"));
    ASSERT_OK(t_mkdir("dir", 0755));
    EXPECT_EQ(Names{}, names_in("dir"));
    write_file("dir/a", "other a");
    ASSERT_OK(t_mkdir("dir/sub", 0755));
    EXPECT_EQ(Names{}, names_in("dir/sub"));
    remove_tree("dir");
    ASSERT_OK(t_rename("saved", "dir"));
    EXPECT_EQ(kDirNames, names_in("dir"));
    EXPECT_EQ("a\n", content_of("dir/a"));
    EXPECT_EQ("z\n", content_of("dir/sub/deeper/z"));
  }
  remove_tree("dir");
  EXPECT_FALSE(exists("dir"));
  ASSERT_OK(t_mkdir("dir", 0755));
  EXPECT_EQ(Names{}, names_in("dir"));
  remove_tree("dir");
  remove_tree("deep");
  remove_tree("names");
  EXPECT_FALSE(exists("deep/1/2"));
}

TREE_SUITE(Readdir);

std::map<std::string, Entry> by_name(const std::vector<Entry>& entries) {
  std::map<std::string, Entry> all;
  for (const Entry& entry : entries)
    EXPECT_TRUE(all.insert({entry.name, entry}).second) << "listed twice: " << entry.name;
  return all;
}

void expect_entries_agree_with_stat(const std::string& directory) {
  Fd fd(t_open(directory.c_str(), O_RDONLY));
  for (const auto& [name, entry] : by_name(entries_of(fd))) {
    if (name == "..") continue;  // see DotDotIsTheParent
    struct stat st = stat_of(directory + "/" + name);
    EXPECT_EQ(st.st_ino, entry.ino) << directory << "/" << name;
    if (entry.type == DT_UNKNOWN) continue;
    EXPECT_EQ(IFTODT(st.st_mode), entry.type) << directory << "/" << name;
  }
}

TEST_F(Readdir, ListsEachNameOnce) {
  EXPECT_EQ(kDirNames, names_in("dir"));
  write_file("dir/new", "");
  append_to("dir/a", "more");
  ASSERT_OK(t_unlink("dir/b"));
  ASSERT_OK(t_rename("dir/c", "dir/d"));
  ASSERT_OK(t_mkdir("dir/newdir", 0755));
  EXPECT_EQ((Names{"a", "d", "sub", "link", "up", "hard3", "new", "newdir"}), names_in("dir"));
  EXPECT_EQ(Names{}, names_in("emptydir"));
}

TEST_F(Readdir, HasDotAndDotDot) {
  for (const char* directory : {"dir", "emptydir", "."}) {
    Fd fd(t_open(directory, O_RDONLY));
    auto all = by_name(entries_of(fd));
    EXPECT_TRUE(all.contains(".")) << directory;
    EXPECT_TRUE(all.contains("..")) << directory;
    EXPECT_EQ(DT_DIR, all["."].type);
    EXPECT_EQ(stat_of(directory).st_ino, all["."].ino) << directory;
  }
}

TEST_F(Readdir, DotDotIsTheParent) {
  ASSERT_OK(t_chmod("dir", 0700));
  write_file("dir/sub/new", "");
  for (const char* directory : {"dir", "dir/sub", "dir/sub/deeper", "emptydir"}) {
    Fd fd(t_open(directory, O_RDONLY));
    EXPECT_EQ(stat_of(directory + "/.."s).st_ino, by_name(entries_of(fd))[".."].ino) << directory;
  }
}

TEST_F(Readdir, InodesAndTypesAgreeWithStat) {
  expect_entries_agree_with_stat(".");
  expect_entries_agree_with_stat("dir");
  write_file("dir/new", "");
  append_to("dir/a", "more");
  ASSERT_OK(t_chmod("dir/b", 0600));
  ASSERT_OK(t_chmod("dir/sub", 0700));
  ASSERT_OK(t_rename("other", "dir/renamed"));
  ASSERT_OK(t_rename("dir2", "dir/renameddir"));
  ASSERT_OK(t_link("file", "dir/linked"));
  ASSERT_OK(t_symlink("x", "dir/symlink"));
  ASSERT_OK(t_mknod("dir/fifo", S_IFIFO | 0600, 0));
  append_to("big", "x");
  for (const char* directory : {".", "dir", "dir/sub", "dir/renameddir", "names"})
    expect_entries_agree_with_stat(directory);
}

TEST_F(Readdir, StartsAgainAfterASeek) {
  Fd fd(t_open("dir", O_RDONLY));
  EXPECT_EQ(kDirNames.size() + 2, entries_of(fd).size());
  EXPECT_EQ(0u, entries_of(fd).size());
  write_file("dir/new", "");
  EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
  EXPECT_TRUE(by_name(entries_of(fd)).contains("new"));
}

TEST_F(Readdir, OfADirectoryThatWasRenamed) {
  Fd fd(t_open("dir", O_RDONLY));
  ASSERT_OK(t_rename("dir", "moved"));
  write_file("moved/new", "");
  Names wanted = kDirNames;
  wanted.insert({"new", ".", ".."});
  Names got;
  for (const Entry& entry : entries_of(fd)) got.insert(entry.name);
  EXPECT_EQ(wanted, got);
}

TEST_F(Readdir, TwoReadersDoNotDisturbOneAnother) {
  Fd one(t_open("names", O_RDONLY)), two(t_open("names", O_RDONLY));
  write_file("names/new", "");
  auto first = by_name(entries_of(one)), second = by_name(entries_of(two));
  EXPECT_EQ(first.size(), second.size());
  EXPECT_EQ(kHostileNames.size() + 3, second.size());
}

TEST_F(Readdir, ADuplicateSharesTheOffset) {
  Fd fd(t_open("names", O_RDONLY));
  Fd copy(dup(fd));
  EXPECT_EQ(kHostileNames.size() + 2, entries_of(copy).size());
  EXPECT_EQ(0u, entries_of(fd).size());
}

TEST_F(Readdir, RawCallsRefuse) {
  alignas(8) char buffer[1024];
  Fd file(t_open("file", O_RDONLY)), dir(t_open("dir", O_RDONLY)), path_only(t_open("dir", O_PATH));
  EXPECT_ERRNO(ENOTDIR, t_getdents64(file, buffer, sizeof buffer));
  EXPECT_ERRNO(EBADF, t_getdents64(-1, buffer, sizeof buffer));
  EXPECT_ERRNO(EBADF, t_getdents64(path_only, buffer, sizeof buffer));
  EXPECT_ERRNO(EINVAL, t_getdents64(dir, buffer, 8));
  EXPECT_ERRNO(EFAULT, t_getdents64(dir, nullptr, 4096));
}

// struct linux_dirent of the first getdents: its type stands in the last byte.
TEST_F(Readdir, TheOldCallListsTheSame) {
  struct linux_dirent {
    unsigned long d_ino, d_off;
    unsigned short d_reclen;
    char d_name[];
  };
  write_file("dir/new", "");
  Fd fd(t_open("dir", O_RDONLY));
  alignas(8) char buffer[256];
  Names names;
  int n;
  while ((n = t_getdents(fd, buffer, sizeof buffer)) > 0) {
    for (int at = 0; at < n;) {
      auto* entry = reinterpret_cast<linux_dirent*>(buffer + at);
      names.insert(entry->d_name);
      if (entry->d_name != "."s && entry->d_name != ".."s) {
        struct stat st = stat_of("dir/"s + entry->d_name);
        EXPECT_EQ(st.st_ino, entry->d_ino) << entry->d_name;
        EXPECT_EQ(IFTODT(st.st_mode), buffer[at + entry->d_reclen - 1]) << entry->d_name;
      }
      at += entry->d_reclen;
    }
  }
  EXPECT_EQ(0, n);
  Names wanted = kDirNames;
  wanted.insert({"new", ".", ".."});
  EXPECT_EQ(wanted, names);
}

TEST_F(Readdir, ARemovedDirectoryHasNothing) {
  Fd fd(t_open("emptydir", O_RDONLY));
  ASSERT_OK(t_rmdir("emptydir"));
  alignas(8) char buffer[1024];
  EXPECT_ERRNO(ENOENT, t_getdents64(fd, buffer, sizeof buffer));
}

// --- a directory with thousands of entries, partly changed ---

class LargeDirectory : public Tree {
 protected:
  static void change_some(int count) {
    for (int i = 0; i < count; i += 50) ASSERT_OK(t_unlink(("many/" + std::to_string(i)).c_str()));
    for (int i = 0; i < 100; i++) write_file("many/new" + std::to_string(i), "");
    for (int i = 1; i < count; i += 50) append_to("many/" + std::to_string(i), "changed");
  }
};

void fill(int count) {
  if (mkdir("many", 0755) < 0) abort();
  for (int i = 0; i < count; i++) write_file("many/" + std::to_string(i), "");
}

PREPARE(LargeDirectory, IsListedWhole) { fill(kMany); }

TEST_F(LargeDirectory, IsListedWhole) {
  EXPECT_EQ(size_t(kMany), names_in("many").size());
  change_some(kMany);
  Names wanted;
  for (int i = 0; i < kMany; i++) {
    if (i % 50) wanted.insert(std::to_string(i));
  }
  for (int i = 0; i < 100; i++) wanted.insert("new" + std::to_string(i));
  EXPECT_EQ(wanted, names_in("many"));
}

PREPARE(LargeDirectory, CanBeEmptiedWhileReading) { fill(kSome); }

// Removes each entry as soon as it was read, as find -delete does.
TEST_F(LargeDirectory, CanBeEmptiedWhileReading) {
  change_some(kSome);
  int removed = 0;
  read_directory(Fd(t_open("many", O_RDONLY)), [&](const Entry& entry) {
    if (entry.name[0] == '.') return;
    EXPECT_OK(t_unlink(("many/" + entry.name).c_str()));
    removed++;
  });
  EXPECT_EQ(kSome - kSome / 50 + 100, removed);
  EXPECT_EQ(Names{}, names_in("many"));
  EXPECT_OK(t_rmdir("many"));
}

PREPARE(LargeDirectory, CanGrowWhileReading) { fill(kSome); }

TEST_F(LargeDirectory, CanGrowWhileReading) {
  Names seen;
  int made = 0;
  read_directory(Fd(t_open("many", O_RDONLY)), [&](const Entry& entry) {
    EXPECT_TRUE(seen.insert(entry.name).second) << entry.name;
    if (made < 200) write_file("many/made" + std::to_string(made++), "");
  });
  for (int i = 0; i < kSome; i++) EXPECT_TRUE(seen.contains(std::to_string(i))) << i;
  EXPECT_EQ(size_t(kSome + 200), names_in("many").size());
}

#ifndef USE_SYSCALL
TREE_SUITE(DirectoryStream);

TEST_F(DirectoryStream, GoesBackToWhereItWas) {
  write_file("names/new", "");
  ASSERT_OK(t_unlink("names/..x"));
  DIR* stream = opendir("names");
  ASSERT_TRUE(stream);
  std::vector<std::pair<long, std::string>> positions;
  for (;;) {
    long position = telldir(stream);
    dirent* entry = readdir(stream);
    positions.push_back({position, entry ? entry->d_name : ""});
    if (!entry) break;
  }
  EXPECT_EQ(kHostileNames.size() + 2 + 1, positions.size());
  std::reverse(positions.begin(), positions.end());
  for (const auto& [position, name] : positions) {
    seekdir(stream, position);
    dirent* entry = readdir(stream);
    EXPECT_EQ(name, entry ? entry->d_name : "");
  }
  rewinddir(stream);
  size_t count = 0;
  while (readdir(stream)) count++;
  EXPECT_EQ(positions.size() - 1, count);
  closedir(stream);
}

TEST_F(DirectoryStream, RewindSeesWhatIsNew) {
  DIR* stream = opendir("dir");
  ASSERT_TRUE(stream);
  while (readdir(stream)) {
  }
  write_file("dir/new", "");
  ASSERT_OK(t_unlink("dir/a"));
  rewinddir(stream);
  Names names;
  while (dirent* entry = readdir(stream)) names.insert(entry->d_name);
  EXPECT_TRUE(names.contains("new"));
  EXPECT_FALSE(names.contains("a"));
  closedir(stream);
}

TEST_F(DirectoryStream, HasItsDescriptor) {
  DIR* stream = opendir("dir");
  ASSERT_TRUE(stream);
  EXPECT_EQ(FD_CLOEXEC, fcntl(dirfd(stream), F_GETFD));
  EXPECT_EQ(identity("dir"), identity(dirfd(stream)));
  struct stat st;
  EXPECT_OK(t_fstatat(dirfd(stream), "a", &st, 0));
  closedir(stream);
  EXPECT_EQ(nullptr, opendir("file"));
  EXPECT_EQ(ENOTDIR, errno);
  EXPECT_EQ(nullptr, opendir("nothing"));
  EXPECT_EQ(ENOENT, errno);
  EXPECT_EQ(nullptr, opendir(""));
  EXPECT_EQ(ENOENT, errno);
  if (geteuid() == 0) return;
  EXPECT_EQ(nullptr, opendir("dir_none"));
  EXPECT_EQ(EACCES, errno);
}

TEST_F(DirectoryStream, EndLeavesErrno) {
  DIR* stream = opendir("dir");
  ASSERT_TRUE(stream);
  errno = kUntouched;
  while (readdir(stream)) {
  }
  EXPECT_EQ(kUntouched, errno);
  closedir(stream);
}
#endif

}  // namespace
}  // namespace syscalls
