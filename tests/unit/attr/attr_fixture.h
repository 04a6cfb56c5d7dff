// For tests of attributes: stat as programs see it, an ordinary user's place, and a lower that must
// not have changed.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/attr/attr.h"
#include "tests/support/fixture.h"

namespace ovl::testing {

// Effective ids of an ordinary user for a scope; a process that isn't root stays what it is.
class AsUser {
 public:
  static constexpr uid_t kUser = 1500;
  explicit AsUser(const std::vector<gid_t>& others = {}) {
    if (getuid() != 0) return;
    count_ = getgroups(0, nullptr);
    groups_.resize(static_cast<size_t>(count_));
    count_ = getgroups(count_, groups_.data());
    EXPECT_EQ(setgroups(others.size(), others.data()), 0);
    EXPECT_EQ(setegid(kUser), 0);
    EXPECT_EQ(seteuid(kUser), 0);
  }
  ~AsUser() {
    if (getuid() != 0) return;
    EXPECT_EQ(seteuid(0), 0);
    EXPECT_EQ(setegid(0), 0);
    EXPECT_EQ(setgroups(static_cast<size_t>(count_), groups_.data()), 0);
  }

 private:
  int count_ = 0;
  std::vector<gid_t> groups_;
};

class AttrTest : public OverlayTest {
 protected:
  // After start(). Gives the upper to the ordinary user and notes what the lower is like.
  void begin(const Options& options = {}) {
    start(options);
    if (getuid() == 0) {
      const std::string command = "chmod 755 '" + root() + "' '" + upper("/..") +
                                  "' && chown -R 1500:1500 '" + upper() + "' '" + work() + "'";
      ASSERT_EQ(system(command.c_str()), 0);
    }
    before_ = fingerprint();
  }
  void TearDown() override {
    if (!before_.empty()) {
      EXPECT_EQ(fingerprint(), before_) << "the lower was changed";
    }
  }

  struct stat see(const std::string& rest, int flags = AT_SYMLINK_NOFOLLOW) {
    struct stat st = {};
    EXPECT_EQ(run<op_newfstatat>(AT_FDCWD, path(rest), UserBuf(&st), flags), 0) << rest;
    return st;
  }
  mode_t mode(const std::string& rest) { return see(rest).st_mode & 07777; }
  static struct stat real(const std::string& file) {
    struct stat st = {};
    EXPECT_EQ(lstat(file.c_str(), &st), 0) << file;
    return st;
  }
  static mode_t real_mode(const std::string& file) { return real(file).st_mode & 07777; }

  long chmod(const std::string& rest, mode_t m, int flags = 0) {
    return run<op_fchmodat2>(AT_FDCWD, path(rest), m, flags);
  }
  long chown(const std::string& rest, uid_t uid, gid_t gid, int flags = 0) {
    return run<op_fchownat>(AT_FDCWD, path(rest), uid, gid, flags);
  }
  long access(const std::string& rest, int m, int flags = 0) {
    return run<op_faccessat2>(AT_FDCWD, path(rest), m, flags);
  }
  long set(const std::string& rest, const char* name, const std::string& value, int flags = 0) {
    return run<op_lsetxattr>(path(rest), UserPath(name), UserBuf(const_cast<char*>(value.data())),
                             value.size(), flags);
  }
  // The value, or "E<errno>".
  std::string get(const std::string& rest, const char* name) {
    char value[4096];
    const long n = run<op_lgetxattr>(path(rest), UserPath(name), UserBuf(value), sizeof value);
    return n < 0 ? "E" + std::to_string(-n) : std::string(value, static_cast<size_t>(n));
  }
  // The names, sorted, each followed by a space.
  std::string list(const std::string& rest) {
    char names[4096];
    const long n = run<op_llistxattr>(path(rest), UserBuf(names), sizeof names);
    if (n < 0) return "E" + std::to_string(-n);
    std::vector<std::string> all;
    for (const char* p = names; p < names + n; p += strlen(p) + 1) all.push_back(p);
    std::sort(all.begin(), all.end());
    std::string text;
    for (const std::string& name : all) text += name + " ";
    return text;
  }
  long remove(const std::string& rest, const char* name) {
    return run<op_lremovexattr>(path(rest), UserPath(name));
  }

 private:
  // Names, owners, modes, times of change, xattrs and contents of everything below the lower.
  std::string fingerprint() const {
    const std::string command =
        "cd '" + lower() +
        "' && find . -printf '%p %y %U %G %m %s %n %C@ %T@ %l\\n' | sort; "
        "getfattr -R -d -m - -h . 2>/dev/null; find . -type f -exec cat {} +";
    FILE* pipe = popen(command.c_str(), "r");
    std::string text;
    char buffer[4096];
    size_t n;
    while (pipe != nullptr && (n = fread(buffer, 1, sizeof buffer, pipe)) > 0)
      text.append(buffer, n);
    if (pipe != nullptr) pclose(pipe);
    return text;
  }
  std::string before_;
};

}  // namespace ovl::testing
