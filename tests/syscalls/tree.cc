#include "tests/syscalls/tree.h"

#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include <map>
#include <ostream>

namespace syscalls {
namespace {

// kind mode path [content, target or older name]; kinds: d(irectory), f(ile), l (symlink), h(ard
// link), p (FIFO), s(ocket).
// {} stands for the tree's absolute path. Modes and times are set last, so that a directory may
// refuse writing.
constexpr const char* kTree[][4] = {
    {"f", "0644", "file", "hello lower\n"},
    {"f", "0644", "other", "another file\n"},
    {"f", "0644", "empty", ""},
    {"f", "0444", "readonly", "read only\n"},
    {"f", "0600", "private", "private\n"},
    {"f", "0000", "noperm", "nobody reads this\n"},
    {"f", "0755", "script", "#!/bin/sh\necho \"script $0 $*\"\n"},
    {"f", "0755", "noheader", "echo \"no header $*\"\n"},
    {"f", "0755", "badinterpreter", "#!/no/such/interpreter\n"},
    {"f", "0644", "notexecutable", "#!/bin/sh\necho no\n"},
    {"f", "0644", "hard1", "three names\n"},
    {"h", "", "hard2", "hard1"},
    {"d", "0755", "dir", ""},
    {"h", "", "dir/hard3", "hard1"},
    {"f", "0644", "dir/a", "a\n"},
    {"f", "0644", "dir/b", "b\n"},
    {"f", "0640", "dir/c", "c\n"},
    {"d", "0755", "dir/sub", ""},
    {"f", "0644", "dir/sub/x", "x\n"},
    {"f", "0644", "dir/sub/y", "y\n"},
    {"d", "0700", "dir/sub/deeper", ""},
    {"f", "0644", "dir/sub/deeper/z", "z\n"},
    {"l", "", "dir/link", "a"},
    {"l", "", "dir/up", "../file"},
    {"d", "0755", "dir2", ""},
    {"f", "0644", "dir2/a", "a of dir2\n"},
    {"f", "0644", "dir2/q", "q\n"},
    {"d", "0755", "emptydir", ""},
    {"d", "0555", "dir_ro", ""},
    {"f", "0644", "dir_ro/inside", "inside\n"},
    {"d", "0000", "dir_none", ""},
    {"f", "0644", "dir_none/inside", "inside\n"},
    {"d", "0444", "dir_noexec", ""},
    {"f", "0644", "dir_noexec/inside", "inside\n"},
    {"d", "0311", "dir_noread", ""},
    {"f", "0644", "dir_noread/inside", "inside\n"},
    {"d", "1777", "sticky", ""},
    {"d", "2755", "setgid", ""},
    {"l", "", "abs", "{}/dir/a"},
    {"l", "", "absdir", "{}/dir"},
    {"l", "", "rel", "dir/a"},
    {"l", "", "dotted", "./dir/../dir/./sub/../a"},
    {"l", "", "dirlink", "dir"},
    {"l", "", "dirlink2", "dirlink/sub"},
    {"l", "", "slashed", "dir/"},
    {"l", "", "fileslash", "file/"},
    {"l", "", "dangling", "nothing/here"},
    {"l", "", "dangling1", "tobemade"},
    {"l", "", "loop", "loop"},
    {"l", "", "loop1", "loop2"},
    {"l", "", "loop2", "loop1"},
    {"l", "", "toroot", "/"},
    {"p", "0644", "fifo", ""},
    {"s", "0755", "socket", ""},
    {"d", "0755", "names", ""},
};

std::map<std::string, void (*)()>& preparations() {
  static std::map<std::string, void (*)()> all;
  return all;
}

const char* root() {
  const char* directory = getenv("OVLRUN_TREE");
  if (!directory) {
    fprintf(
        stderr,
        "set OVLRUN_TREE to the directory of trees, and OVLRUN_TREE_BUILD for the build pass\n");
    exit(2);
  }
  return directory;
}

std::string mark_of(Feature feature) { return root() + "/missing"s + std::to_string(int(feature)); }

[[noreturn]] void die(const std::string& what) {
  perror(("building the tree: " + what).c_str());
  exit(2);
}

void build_object(const char* const line[4], const std::string& here) {
  const char* path = line[2];
  std::string text = line[3];
  if (size_t at = text.find("{}"); at != text.npos) text.replace(at, 2, here);
  int result = 0;
  switch (line[0][0]) {
    case 'd':
      result = mkdir(path, 0700);
      break;
    case 'f': {
      int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
      result =
          fd < 0 || write(fd, text.data(), text.size()) != ssize_t(text.size()) ? -1 : close(fd);
      break;
    }
    case 'l':
      result = symlink(text.c_str(), path);
      break;
    case 'h':
      result = link(text.c_str(), path);
      break;
    case 'p':
    case 's':
      result = mknod(path, (line[0][0] == 'p' ? S_IFIFO : S_IFSOCK) | 0600, 0);
      break;
  }
  if (result < 0) die(path);
}

void build_big_files() {
  std::string big;
  for (int i = 0; off_t(big.size()) < kBigSize; i++) big += std::to_string(i) + "\n";
  big.resize(kBigSize);
  write_file("big", big);
  int fd = open("sparse", O_CREAT | O_WRONLY, 0644);
  if (ftruncate(fd, kSparseSize) < 0 ||
      pwrite(fd, kSparseData.data(), kSparseData.size(), kSparseAt) < 0)
    die("sparse");
  close(fd);
  for (const char* path : {"big", "sparse"}) {
    timespec times[2] = {kFileTime, kFileTime};
    if (utimensat(AT_FDCWD, path, times, 0) < 0) die(path);
  }
}

void build_deep() {
  int at = open(".", O_RDONLY);
  for (int level = 0; level <= kDeepLevels; level++) {
    std::string name = level == 0 ? "deep" : std::to_string(level);
    if (mkdirat(at, name.c_str(), 0755) < 0) die(name);
    int next = openat(at, name.c_str(), O_RDONLY);
    close(at);
    at = next;
  }
  close(openat(at, "bottom", O_CREAT | O_WRONLY, 0644));
  close(at);
}

// Leaves a mark beside the trees for each feature that is missing here.
void probe_features() {
  struct {
    file_handle head;
    unsigned char bytes[MAX_HANDLE_SZ];
  } handle = {};
  handle.head.handle_bytes = MAX_HANDLE_SZ;
  // version 2; user:rw-, group:r--, other:r--
  const uint16_t acl[] = {2, 0, 1, 6, 0xffff, 0xffff, 4, 4, 0xffff, 0xffff, 32, 4, 0xffff, 0xffff};
  int mount, flags, fd = open("file", O_RDONLY), unnamed = open(".", O_TMPFILE | O_RDWR, 0600);
  const std::pair<Feature, bool> found[] = {
      {Feature::kUserXattrs, setxattr("file", "user.test", "value", 5, 0) == 0},
      {Feature::kAcls, setxattr("file", "system.posix_acl_access", acl, sizeof acl, 0) == 0},
      {Feature::kUnnamedFiles, unnamed >= 0},
      {Feature::kFileHandles, name_to_handle_at(AT_FDCWD, "file", &handle.head, &mount, 0) == 0},
      {Feature::kInodeFlags, ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0}};
  for (auto [feature, present] : found) {
    if (!present) write_file(mark_of(feature), "");
  }
  close(fd);
  close(unnamed);
}

void build_tree() {
  const std::string here = cwd();
  for (const auto& line : kTree) build_object(line, here);
  for (const std::string& name : kHostileNames) write_file("names/" + name, name);
  build_big_files();
  build_deep();
  probe_features();
  if (!missing(Feature::kUserXattrs) && setxattr("dir", "user.test", "value", 5, 0) < 0) die("dir");
}

void finish_modes_and_times() {
  constexpr size_t kCount = sizeof(kTree) / sizeof(kTree[0]);
  for (size_t i = kCount; i-- > 0;) {
    const auto& line = kTree[i];
    timespec time = line[0][0] == 'd' ? kDirTime : kFileTime, times[2] = {time, time};
    if (utimensat(AT_FDCWD, line[2], times, AT_SYMLINK_NOFOLLOW) < 0) die(line[2]);
    if (*line[1] && chmod(line[2], mode_t(strtol(line[1], nullptr, 8))) < 0) die(line[2]);
  }
}

std::string own_directory() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return test->test_suite_name() + "."s + test->name();
}

bool building() { return getenv("OVLRUN_TREE_BUILD") != nullptr; }

}  // namespace

Preparation::Preparation(const char* test, void (*make)()) { preparations()[test] = make; }

bool missing(Feature feature) { return access(mark_of(feature).c_str(), F_OK) == 0; }

bool other_libc() { return kLibcCalls && confstr(_CS_GNU_LIBC_VERSION, nullptr, 0) == 0; }

void Tree::SetUp() {
  umask(022);
  if (chdir(root()) < 0) die(root());
  const std::string name = own_directory();
  if (building()) {
    if (mkdir(name.c_str(), 0755) < 0 || chdir(name.c_str()) < 0) die(name);
    build_tree();
    if (auto it = preparations().find(name); it != preparations().end()) it->second();
    finish_modes_and_times();
    GTEST_SKIP() << "built";
  }
  ASSERT_OK(t_chdir(name.c_str()));
}

void Tree::TearDown() { ASSERT_EQ(0, chdir("/")); }

struct stat stat_of(const std::string& path) {
  struct stat st = {};
  EXPECT_OK(t_lstat(path.c_str(), &st)) << path;
  return st;
}

struct stat fstat_of(int fd) {
  struct stat st = {};
  EXPECT_OK(t_fstat(fd, &st));
  return st;
}

std::string read_all(int fd) {
  std::string all;
  char piece[4096];
  ssize_t n;
  while ((n = read(fd, piece, sizeof piece)) > 0) all.append(piece, size_t(n));
  EXPECT_EQ(0, n) << strerror(errno);
  return all;
}

std::string content_of(const std::string& path) {
  int fd = t_open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    ADD_FAILURE() << path << ": " << strerror(errno);
    return "";
  }
  std::string all = read_all(fd);
  close(fd);
  return all;
}

std::string target_of(const std::string& path) {
  char target[PATH_MAX];
  ssize_t n = t_readlink(path.c_str(), target, sizeof target);
  EXPECT_GE(n, 0) << path << ": " << strerror(errno);
  return std::string(target, n < 0 ? 0 : size_t(n));
}

std::string cwd() {
  char path[PATH_MAX];
  EXPECT_TRUE(t_getcwd(path, sizeof path)) << strerror(errno);
  return path;
}

#ifdef USE_SYSCALL
namespace {
struct linux_dirent64 {
  uint64_t d_ino;
  int64_t d_off;
  uint16_t d_reclen;
  uint8_t d_type;
  char d_name[];
};
}  // namespace

void read_directory(int directory_fd, const std::function<void(const Entry&)>& seen) {
  alignas(8) char buffer[2048];
  int n;
  while ((n = t_getdents64(directory_fd, buffer, sizeof buffer)) > 0) {
    for (int at = 0; at < n;) {
      auto* entry = reinterpret_cast<linux_dirent64*>(buffer + at);
      seen({entry->d_name, entry->d_ino, entry->d_type});
      at += entry->d_reclen;
    }
  }
  EXPECT_EQ(0, n) << strerror(errno);
}
#else
void read_directory(int directory_fd, const std::function<void(const Entry&)>& seen) {
  // The stream takes a descriptor over, so it gets one of its own (with an offset that it shares).
  DIR* stream = fdopendir(dup(directory_fd));
  if (!stream) {
    ADD_FAILURE() << strerror(errno);
    return;
  }
  for (;;) {
    errno = 0;
    dirent* entry = readdir(stream);
    if (!entry) break;
    seen({entry->d_name, entry->d_ino, entry->d_type});
  }
  EXPECT_EQ(0, errno) << strerror(errno);
  closedir(stream);
}
#endif

std::vector<Entry> entries_of(int directory_fd) {
  std::vector<Entry> entries;
  read_directory(directory_fd, [&](const Entry& entry) { entries.push_back(entry); });
  return entries;
}

Names names_in(const std::string& directory) {
  Names names;
  Fd fd(t_open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd < 0) return names;
  for (const Entry& entry : entries_of(fd)) {
    if (entry.name == "." || entry.name == "..") continue;
    EXPECT_TRUE(names.insert(entry.name).second) << "listed twice: " << entry.name;
  }
  return names;
}

std::string xattr_of(const std::string& path, const std::string& name) {
  char value[1024];
  ssize_t n = t_lgetxattr(path.c_str(), name.c_str(), value, sizeof value);
  return n < 0 ? "errno "s + std::to_string(errno) : std::string(value, size_t(n));
}

Names xattrs_of(const std::string& path) {
  char list[4096];
  ssize_t n = t_llistxattr(path.c_str(), list, sizeof list);
  EXPECT_GE(n, 0) << path << ": " << strerror(errno);
  Names names;
  for (ssize_t at = 0; at < n; at += ssize_t(strlen(list + at)) + 1) names.insert(list + at);
  return names;
}

bool exists(const std::string& path) {
  struct stat st;
  errno = 0;
  if (t_lstat(path.c_str(), &st) == 0) return true;
  EXPECT_EQ(ENOENT, errno) << path;
  return false;
}

std::string on_another_file_system() {
  for (const char* directory : {"/dev/shm", "/tmp", "/run"}) {
    struct stat st;
    if (t_stat(directory, &st) == 0 && st.st_dev != stat_of(".").st_dev &&
        t_access(directory, W_OK) == 0) {
      return directory + "/ovlrun-never-there"s;
    }
  }
  return "";
}

void write_file(const std::string& path, std::string_view content) {
  Fd fd(t_open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  EXPECT_EQ(ssize_t(content.size()), write(fd, content.data(), content.size())) << path;
}

void append_to(const std::string& path, std::string_view content) {
  Fd fd(t_open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  EXPECT_EQ(ssize_t(content.size()), write(fd, content.data(), content.size())) << path;
}

Fd::Fd(int fd) : fd_(fd) { EXPECT_GE(fd, 0) << strerror(errno); }
Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

namespace {
Identity identity(const struct stat& st) { return {st.st_dev, st.st_ino, st.st_mode & S_IFMT}; }
}  // namespace

Identity identity(const std::string& path) { return identity(stat_of(path)); }
Identity identity(int fd) { return identity(fstat_of(fd)); }

std::ostream& operator<<(std::ostream& out, const Identity& i) {
  return out << "device " << i.dev << " inode " << i.ino << " type " << std::oct << i.type
             << std::dec;
}

::testing::AssertionResult succeeds(const char* text, long result) {
  const int error = errno;
  if (result < 0) return ::testing::AssertionFailure() << text << ": " << strerror(error);
  if (error != kUntouched)
    return ::testing::AssertionFailure()
           << text << " succeeded, but set errno to " << strerror(error);
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult fails_with(int wanted, const char* text, long result) {
  const int error = errno;
  if (result == -1 && error == wanted) return ::testing::AssertionSuccess();
  auto failure = ::testing::AssertionFailure()
                 << text << "\n  wanted: " << strerrorname_np(wanted) << "\n  got: ";
  if (result == -1) return failure << strerrorname_np(error);
  return failure << "success (" << result << ")";
}

}  // namespace syscalls

bool operator==(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}
std::ostream& operator<<(std::ostream& out, const timespec& t) {
  return out << t.tv_sec << "s " << t.tv_nsec << "ns";
}

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  int status = RUN_ALL_TESTS();
  return status;
}
