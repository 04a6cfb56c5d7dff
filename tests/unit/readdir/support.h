// What the tests of listings share.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/attr/attr.h"
#include "core/readdir/readdir.h"
#include "tests/support/fixture.h"

namespace ovl::testing {

struct Seen {
  uint64_t ino;
  uint8_t type;
  uint64_t off;  // d_off
  std::string name;
};

class ListingTest : public OverlayTest {
 protected:
  const Node* node(Op& op, const std::string& rest) {
    kept_ = at(rest);
    Result<const Node*> found = node_at(op, Str(kept_.data(), kept_.size()));
    EXPECT_TRUE(found.ok()) << rest << ": " << strerror(found.error());
    return found.ok() ? found.value() : nullptr;
  }

  // Through MergedListing. "." and ".." left out.
  std::map<std::string, Seen> load(const std::string& rest = "") {
    Op op(caller(), session());
    MergedListing listing;
    EXPECT_EQ(listing.load(op, *node(op, rest)).error(), 0);
    std::map<std::string, Seen> seen;
    for (uint32_t i = 0; i < listing.size(); i++) {
      const DirEntry& e = listing[i];
      EXPECT_EQ(strlen(e.name), e.name_size);
      EXPECT_TRUE(i == 0 || listing[i - 1].position < e.position);
      EXPECT_EQ(listing.index_of(e.position), i);
      if (i < 2) {
        EXPECT_STREQ(e.name, i == 0 ? "." : "..");
        continue;
      }
      EXPECT_TRUE(seen.emplace(e.name, Seen{e.ino, e.type, e.position, e.name}).second) << e.name;
    }
    return seen;
  }
  std::set<std::string> names(const std::string& rest = "") {
    std::set<std::string> result;
    for (const auto& [name, entry] : load(rest)) result.insert(name);
    return result;
  }
  bool empty(const std::string& rest) {
    Op op(caller(), session());
    Result<bool> r = shown_empty(op, *node(op, rest));
    EXPECT_TRUE(r.ok());
    return r.value();
  }

  // Opens the directory as open(2) of the overlay does: the topmost real one.
  int open_dir(const std::string& rest = "") {
    Op op(caller(), session());
    const Node* dir = node(op, rest);
    return ::open(dir->top().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }

  // One getdents64(2) as a program gets it. -errno, or the number of bytes.
  long getdents(int fd, void* buffer, unsigned size) {
    long n = run<op_getdents64>(static_cast<unsigned>(fd), UserBuf(buffer), size);
    if (n != kNative) return n;
    natives_++;
    n = syscall(SYS_getdents64, fd, buffer, size);
    return n < 0 ? -errno : n;
  }
  std::vector<Seen> chunk(int fd, unsigned size) {
    std::vector<Seen> seen;
    alignas(8) static thread_local char buffer[1 << 17];
    const long n = getdents(fd, buffer, size);
    EXPECT_GE(n, 0) << strerror(static_cast<int>(-n));
    for (long at = 0; at < n;) {
      auto* record = reinterpret_cast<KernelDirent*>(buffer + at);
      seen.push_back(Seen{record->d_ino, record->d_type, static_cast<uint64_t>(record->d_off),
                          record->d_name});
      at += record->d_reclen;
    }
    return seen;
  }
  // To the end. Each name must come once.
  std::set<std::string> read_all(int fd, unsigned size) {
    std::set<std::string> result;
    for (std::vector<Seen> seen; !(seen = chunk(fd, size)).empty();)
      for (const Seen& e : seen) EXPECT_TRUE(result.insert(e.name).second) << "twice: " << e.name;
    EXPECT_EQ(result.erase("."), 1u);
    EXPECT_EQ(result.erase(".."), 1u);
    return result;
  }

  // Removes a name as the overlay does, by hand.
  void whiteout(const std::string& rest) {
    unlink(upper(rest).c_str());
    ASSERT_EQ(mknod(upper(rest).c_str(), S_IFCHR, 0), 0) << strerror(errno);
  }
  static uint64_t ino_of(const std::string& real) {
    struct stat st;
    EXPECT_EQ(lstat(real.c_str(), &st), 0) << real;
    return st.st_ino;
  }
  static void make_dir(const std::string& real) { ASSERT_EQ(mkdir(real.c_str(), 0755), 0) << real; }
  static void set_xattr(const std::string& real, const char* name, const std::string& value) {
    ASSERT_EQ(lsetxattr(real.c_str(), name, value.data(), value.size(), 0), 0)
        << real << ": " << strerror(errno);
  }
  // A user's own file system may have no user xattrs, or no 0:0 devices.
  bool can_set_xattrs() {
    write_file(root() + "/probe", "");
    const bool can = lsetxattr((root() + "/probe").c_str(), "user.probe", "", 0, 0) == 0;
    unlink((root() + "/probe").c_str());
    return can;
  }

  int natives_ = 0;  // calls that went to the kernel as they were

 private:
  std::string kept_;
};

using Names = std::set<std::string>;

}  // namespace ovl::testing
