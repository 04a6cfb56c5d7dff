// The tree that each test finds in its current directory, and what tests ask of it.
//
// The binary runs in two passes. With OVLRUN_TREE=DIR OVLRUN_TREE_BUILD=1 in the environment it
// makes DIR/<Suite>.<Test> for each selected test, natively. The second pass runs the tests: below
// ovlrun with DIR as the lower, or natively. So every test starts on objects that stand in a lower,
// and shares its directory with nobody.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/syscalls/calls.h"

bool operator==(const timespec& a, const timespec& b);
std::ostream& operator<<(std::ostream& out, const timespec& t);

namespace syscalls {

using std::string_literals::operator""s;
using Names = std::set<std::string>;

// What the standard tree's regular files were last modified at; directories are a second later.
inline constexpr timespec kFileTime = {1'500'000'000, 123'456'789};
inline constexpr timespec kDirTime = {1'500'000'001, 987'654'321};
inline constexpr off_t kBigSize = 300'000;     // of "big"
inline constexpr off_t kSparseSize = 8 << 20;  // of "sparse", with kSparseData at kSparseAt
inline constexpr off_t kSparseAt = 4 << 20;
inline constexpr std::string_view kSparseData = "island";
inline constexpr int kDeepLevels = 8;               // deep/1/2/.../8/bottom
inline const std::string kLongName(NAME_MAX, 'n');  // names/nnn...
inline const std::vector<std::string> kHostileNames = {
    "new\nline",    " ",         "\x01\x7f\x1b[31m",
    "\xff\xfe\x80", "quote'\"`", "back\\slash",
    "-rf",          "*?[a]",     "...",
    "..x",          ".wh.file",  kLongName};

// The standard tree itself is declared in tree.cc.
class Tree : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
};

// Extra objects for one test, made natively in the test's directory during the build pass:
//   PREPARE(Readdir, BigDirectory) { ... }
struct Preparation {
  Preparation(const char* test, void (*make)());
};
#define PREPARE(suite, test)                                                                   \
  static void prepare_##suite##_##test();                                                      \
  static const ::syscalls::Preparation preparation_##suite##_##test(#suite "." #test,          \
                                                                    prepare_##suite##_##test); \
  static void prepare_##suite##_##test()

#define TREE_SUITE(name) \
  class name : public Tree {}

// What the file system cannot do, as the build pass found out natively: a test that needs it skips,
// and does not skip because it fails below ovlrun.
enum class Feature { kUserXattrs, kAcls, kUnnamedFiles, kFileHandles, kInodeFlags };
bool missing(Feature feature);

// The calls go through another libc than glibc, which looks at arguments in its own ways.
bool other_libc();

// --- asking: each of these goes through the calls under test and fails the test where the call
// fails ---
struct stat stat_of(const std::string& path);  // follows no symlink
struct stat fstat_of(int fd);
std::string content_of(const std::string& path);
std::string read_all(int fd);                    // from its offset on
std::string target_of(const std::string& path);  // of a symlink
std::string cwd();
Names names_in(const std::string& directory);  // without . and ..
struct Entry {
  std::string name;
  ino_t ino;
  unsigned char type;
};
// Calls seen for each entry, . and .. included, as it is read; from the descriptor's offset on.
void read_directory(int directory_fd, const std::function<void(const Entry&)>& seen);
std::vector<Entry> entries_of(int directory_fd);
std::string xattr_of(const std::string& path, const std::string& name);
Names xattrs_of(const std::string& path);
bool exists(const std::string& path);

// A path for a new file on another file system than the tree's; empty when there is none to be
// found.
std::string on_another_file_system();

// --- doing ---
void write_file(const std::string& path, std::string_view content);  // creates or replaces
void append_to(const std::string& path, std::string_view content);

// A descriptor that closes itself, and fails the test where it is none.
class Fd {
 public:
  explicit Fd(int fd);
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  operator int() const { return fd_; }  // NOLINT(google-explicit-constructor)

 private:
  int fd_;
};

// Runs `body` in a child; its result is the child's exit status (or 128 + signal).
template <class Body>
int in_child(Body body) {
  fflush(nullptr);
  pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The object itself: the same before and after an operation that keeps it.
struct Identity {
  dev_t dev;
  ino_t ino;
  mode_t type;
  bool operator==(const Identity&) const = default;
};
Identity identity(const std::string& path);
Identity identity(int fd);
std::ostream& operator<<(std::ostream& out, const Identity& i);

// A value that no call sets: a successful call must leave errno alone.
constexpr int kUntouched = 4711;

::testing::AssertionResult succeeds(const char* text, long result);
::testing::AssertionResult fails_with(int wanted, const char* text, long result);

// The call succeeds and leaves errno as it was.
#define EXPECT_OK(call) \
  EXPECT_TRUE(          \
      ::syscalls::succeeds(#call, (errno = ::syscalls::kUntouched, static_cast<long>(call))))
#define ASSERT_OK(call) \
  ASSERT_TRUE(          \
      ::syscalls::succeeds(#call, (errno = ::syscalls::kUntouched, static_cast<long>(call))))
#define EXPECT_ERRNO(wanted, call) \
  EXPECT_TRUE(::syscalls::fails_with(wanted, #call, (errno = 0, static_cast<long>(call))))

}  // namespace syscalls
