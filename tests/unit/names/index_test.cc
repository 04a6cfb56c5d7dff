// Hard links of the lower that stay linked when one of their names is copied up.
#include <sys/wait.h>

#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

class Index : public NamesTest {
 protected:
  // Three names of one file: /a, /b, /d/c.
  void three_names(const std::string& content = "content") {
    make_lower_dir("/d");
    make_lower_dir("/e");
    write_file(lower("/a"), content);
    ASSERT_EQ(link(lower("/a").c_str(), lower("/b").c_str()), 0);
    ASSERT_EQ(link(lower("/a").c_str(), lower("/d/c").c_str()), 0);
  }
  long change_mode(const std::string& p, mode_t mode) {
    return run<op_fchmodat2>(AT_FDCWD, path(p), mode, 0);
  }
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    if (!exists(work("/index"))) return names;
    for (const auto& entry : std::filesystem::directory_iterator(work("/index")))
      names.push_back(entry.path().filename());
    return names;
  }
  std::string count_of(const std::string& rest) const {
    return xattr(upper(rest), name(Priv::kNlink));
  }
  // All of these are one file with so many names.
  void expect_one(const std::vector<std::string>& names, uint32_t nlink) {
    const StatX first = look(names[0]);
    for (const std::string& each : names) {
      const StatX st = look(each);
      EXPECT_EQ(st.stx_nlink, nlink) << each;
      EXPECT_EQ(st.stx_ino, first.stx_ino) << each;
      EXPECT_EQ(st.stx_mode, first.stx_mode) << each;
      EXPECT_EQ(read_virtual_as_owner(each), read_virtual_as_owner(names[0])) << each;
    }
  }
  // Each body in a process of its own; what they return is added up.
  static int in_processes(const std::vector<std::function<int()>>& bodies) {
    std::vector<pid_t> children;
    for (const auto& body : bodies) {
      const pid_t child = fork();
      if (child == 0) _exit(body() == 0 ? 0 : 1);
      children.push_back(child);
    }
    int failures = 0;
    for (pid_t child : children) {
      int status;
      waitpid(child, &status, 0);
      failures += status != 0 ? 1 : 0;
    }
    return failures;
  }
};

TEST_F(Index, EveryNameSeesWhatOneWrote) {
  three_names();
  start();
  const uint64_t inode = look("/a").stx_ino;
  ASSERT_EQ(write_new("/a", "CON", O_WRONLY), 0);
  for (const char* each : {"/b", "/d/c"}) EXPECT_EQ(read_virtual(each), "CONtent") << each;
  expect_one({"/a", "/b", "/d/c"}, 3);
  EXPECT_EQ(look("/a").stx_ino, inode);
  EXPECT_EQ(read_file(lower("/a")), "content");
}

TEST_F(Index, IsAsTheKernelsOnDisk) {
  three_names();
  start();
  ASSERT_EQ(write_new("/a", "new"), 0);
  ASSERT_EQ(entries().size(), 1u);
  const std::string origin = xattr(upper("/a"), name(Priv::kOrigin));
  std::string hex;
  for (unsigned char c : origin) {
    char digits[3];
    snprintf(digits, sizeof digits, "%02x", c);
    hex += digits;
  }
  EXPECT_EQ(entries()[0], hex) << "the origin of the lower's inode";
  EXPECT_EQ(real(work("/index/" + hex)).st_ino, real(upper("/a")).st_ino);
  EXPECT_EQ(real(upper("/a")).st_nlink, 2u);
  EXPECT_EQ(count_of("/a"), "U+1");
  EXPECT_EQ(xattr(upper(), name(Priv::kImpure)), "y");
  FileHandle handle;
  ASSERT_TRUE(decode_origin(origin.data(), origin.size(), &handle).ok());
  EXPECT_TRUE(inode_of(handle) == 0 || inode_of(handle) == real(lower("/a")).st_ino);
  ASSERT_EQ(change_mode("/b", 0600), 0);
  EXPECT_EQ(count_of("/b"), "U+0");
  ASSERT_EQ(change_mode("/d/c", 0600), 0);
  EXPECT_EQ(count_of("/a"), "U-1");
  EXPECT_EQ(real(upper("/a")).st_nlink, 4u);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(Index, AttributesOfOneAreThoseOfAll) {
  three_names(std::string(100'000, 'x'));
  start();
  const StatX before = look("/b");
  ASSERT_EQ(change_mode("/d/c", 0600), 0);
  expect_one({"/a", "/b", "/d/c"}, 3);
  EXPECT_EQ(look("/a").stx_mode & 0777, 0600u);
  EXPECT_EQ(look("/a").stx_blocks, before.stx_blocks);
  EXPECT_EQ(xattr(upper("/d/c"), name(Priv::kMetacopy)), "") << "no data";
  EXPECT_EQ(read_virtual("/a"), std::string(100'000, 'x'));
  ASSERT_EQ(write_new("/b", "BB", O_WRONLY), 0);
  EXPECT_EQ(read_virtual("/a"), "BB" + std::string(99'998, 'x'));
  EXPECT_EQ(read_virtual("/d/c"), "BB" + std::string(99'998, 'x'));
  expect_one({"/a", "/b", "/d/c"}, 3);
}

TEST_F(Index, HoldsAfterARestart) {
  three_names();
  start();
  ASSERT_EQ(write_new("/d/c", "new"), 0);
  start();
  EXPECT_EQ(read_virtual("/a"), "new");
  expect_one({"/a", "/b", "/d/c"}, 3);
  ASSERT_EQ(remove("/d/c"), 0);
  start();
  EXPECT_EQ(read_virtual("/b"), "new");
  expect_one({"/a", "/b"}, 2);
}

TEST_F(Index, RemovedNamesCount) {
  three_names();
  start();
  ASSERT_EQ(remove("/b"), 0) << "a lower's name";
  expect_one({"/a", "/d/c"}, 2);
  ASSERT_EQ(write_new("/a", "new"), 0);
  ASSERT_EQ(remove("/a"), 0);
  expect_one({"/d/c"}, 1);
  EXPECT_EQ(read_virtual("/d/c"), "new");
  EXPECT_EQ(entries().size(), 1u);
  ASSERT_EQ(remove("/d/c"), 0);
  EXPECT_TRUE(entries().empty()) << "with the last name the entry goes";
}

TEST_F(Index, NewNamesCount) {
  three_names();
  start();
  ASSERT_EQ(make_link("/b", "/e/new"), 0);
  expect_one({"/a", "/b", "/d/c", "/e/new"}, 4);
  ASSERT_EQ(make_link("/a", "/e/new2"), 0);
  expect_one({"/a", "/b", "/d/c", "/e/new", "/e/new2"}, 5);
  ASSERT_EQ(write_new("/e/new", "linked"), 0);
  expect_one({"/a", "/b", "/d/c", "/e/new", "/e/new2"}, 5);
  EXPECT_EQ(read_virtual("/d/c"), "linked");
}

TEST_F(Index, RenamedNamesStayLinked) {
  three_names(std::string(50'000, 'r'));
  start();
  const uint64_t inode = look("/a").stx_ino;
  ASSERT_EQ(move("/a", "/e/moved"), 0);
  EXPECT_EQ(real(upper("/e/moved")).st_blocks, real(upper("/e/moved")).st_blocks & 8)
      << "no data, perhaps a block of xattrs";
  EXPECT_EQ(xattr(upper("/e/moved"), name(Priv::kRedirect)), "/a");
  expect_one({"/e/moved", "/b", "/d/c"}, 3);
  EXPECT_EQ(look("/e/moved").stx_ino, inode);
  ASSERT_EQ(write_new("/b", "new"), 0);
  EXPECT_EQ(read_virtual("/e/moved"), "new");
  ASSERT_EQ(move("/d/c", "/d/k"), 0);
  expect_one({"/e/moved", "/b", "/d/k"}, 3);
  EXPECT_EQ(look("/d/k").stx_ino, inode);
  ASSERT_EQ(move("/b", "/e/moved"), 0) << "two names of one file";
  EXPECT_TRUE(there("/b"));
}

TEST_F(Index, RenameOverANameCounts) {
  three_names();
  write_file(lower("/f"), "f");
  start();
  ASSERT_EQ(move("/f", "/b"), 0);
  expect_one({"/a", "/d/c"}, 2);
  EXPECT_EQ(read_virtual("/b"), "f");
  ASSERT_EQ(write_new("/g", "g"), 0);
  ASSERT_EQ(move("/g", "/a"), 0);
  expect_one({"/d/c"}, 1);
  ASSERT_EQ(move("/d/c", "/a"), 0);
  expect_one({"/a"}, 1);
  EXPECT_EQ(read_virtual("/a"), "content");
  ASSERT_EQ(move("/b", "/a"), 0);
  EXPECT_TRUE(entries().empty());
}

TEST_F(Index, OpeningAnotherNameGivesItsOwnPath) {
  three_names();
  start();
  ASSERT_EQ(write_new("/a", "new"), 0);
  const long fd = open_fd("/d/c", O_RDONLY);
  ASSERT_GE(fd, 0);
  char text[4096] = {};
  const std::string proc = "/proc/self/fd/" + std::to_string(fd);
  const long n = run<op_readlinkat>(AT_FDCWD, UserPath(proc.c_str()), UserBuf(text), 4096);
  ASSERT_GT(n, 0);
  EXPECT_EQ(std::string(text, static_cast<size_t>(n)), at("/d/c"));
  struct stat st = {};
  ASSERT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
  EXPECT_EQ(st.st_nlink, 3u);
  close(static_cast<int>(fd));
}

TEST_F(Index, AnOldDescriptorShowsTheAttributesOfNow) {
  three_names();
  start();
  const long fd = open_fd("/b", O_RDONLY);
  ASSERT_GE(fd, 0);
  struct stat st = {};
  ASSERT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
  ASSERT_EQ(change_mode("/a", 0600), 0);
  ASSERT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  ASSERT_EQ(run<op_fchmod>(static_cast<int>(fd), mode_t{0640}), 0);
  EXPECT_EQ(look("/d/c").stx_mode & 0777, 0640u);
  close(static_cast<int>(fd));
}

TEST_F(Index, FilesOfOneNameHaveNone) {
  write_file(lower("/f"), "f");
  write_file(lower("/g"), "g");
  start();
  ASSERT_EQ(write_new("/f", "new"), 0);
  ASSERT_EQ(make_link("/g", "/h"), 0);
  EXPECT_FALSE(exists(work("/index")));
  EXPECT_EQ(session().state().index_used.load(), 0u);
  EXPECT_EQ(count_of("/f"), "<none>");
}

TEST_F(Index, OffBreaksLinks) {
  three_names();
  Options options;
  options.index = false;
  start(options);
  ASSERT_EQ(write_new("/a", "new"), 0);
  EXPECT_EQ(read_virtual("/b"), "content");
  EXPECT_EQ(look("/a").stx_nlink, 1u);
  EXPECT_FALSE(exists(work("/index")));
  start();  // on again: what was broken stays so
  EXPECT_EQ(read_virtual("/a"), "new");
  EXPECT_EQ(read_virtual("/b"), "content");
  EXPECT_NE(look("/a").stx_ino, look("/b").stx_ino);
  ASSERT_EQ(write_new("/b", "other"), 0);
  EXPECT_EQ(read_virtual("/d/c"), "other");
  EXPECT_EQ(read_virtual("/a"), "new");
}

TEST_F(Index, ACountLeftByAKillIsRight) {
  three_names();
  start();
  ASSERT_EQ(write_new("/a", "new"), 0);
  // Between the steps of bringing a name from the index: before the link and after it.
  ASSERT_EQ(setxattr(upper("/a").c_str(), name(Priv::kNlink), "L+0", 3, 0), 0);
  expect_one({"/a", "/b", "/d/c"}, 3);
  ASSERT_EQ(link(upper("/a").c_str(), upper("/b").c_str()), 0);
  start();
  expect_one({"/a", "/b", "/d/c"}, 3);
  ASSERT_EQ(remove("/b"), 0);
  expect_one({"/a", "/d/c"}, 2);
  EXPECT_EQ(count_of("/a"), "U+0");
}

TEST_F(Index, ADamagedEntryIsAnError) {
  three_names();
  start();
  ASSERT_EQ(write_new("/a", "new"), 0);
  const std::string entry = work("/index/" + entries()[0]);
  ASSERT_EQ(unlink(entry.c_str()), 0);
  ASSERT_EQ(mkdir(entry.c_str(), 0700), 0);
  EXPECT_EQ(try_open("/b", O_RDONLY), -EIO);
  EXPECT_EQ(read_virtual("/a"), "new");
  ASSERT_EQ(rmdir(entry.c_str()), 0);
}

TEST_F(Index, TwoNamesCopiedUpAtOnceAreOneInode) {
  constexpr int kPairs = 1500;
  make_lower_dir("/d");
  for (int i = 0; i < kPairs; i++) {
    const std::string n = std::to_string(i);
    write_file(lower("/a" + n), "data");
    ASSERT_EQ(link(lower("/a" + n).c_str(), lower("/d/b" + n).c_str()), 0);
  }
  start();
  const auto modes = [&](const std::string& prefix, mode_t mode) {
    return [=, this] {
      for (int i = 0; i < kPairs; i++)
        if (change_mode(prefix + std::to_string(i), mode) != 0) return 1;
      return 0;
    };
  };
  EXPECT_EQ(in_processes({modes("/a", 0600), modes("/d/b", 0640)}), 0);
  for (int i = 0; i < kPairs; i++) {
    const std::string a = "/a" + std::to_string(i), b = "/d/b" + std::to_string(i);
    ASSERT_EQ(real(upper(a)).st_ino, real(upper(b)).st_ino) << a;
    ASSERT_EQ(look(a).stx_nlink, 2u) << a;
    ASSERT_EQ(count_of(a), "U-1") << a;
  }
  EXPECT_EQ(entries().size(), static_cast<size_t>(kPairs));
}

TEST_F(Index, NamesComeAndGoAtOnceAndTheCountIsRight) {
  constexpr int kFiles = 600;
  make_lower_dir("/d");
  make_lower_dir("/e");
  for (int i = 0; i < kFiles; i++) {
    const std::string n = std::to_string(i);
    write_file(lower("/a" + n), "data");
    for (const char* other : {"/d/b", "/e/c"})
      ASSERT_EQ(link(lower("/a" + n).c_str(), lower(other + n).c_str()), 0);
  }
  start();
  const auto each = [&](const std::function<long(const std::string&)>& act) {
    return [=] {
      for (int i = 0; i < kFiles; i++)
        if (act(std::to_string(i)) != 0) return 1;
      return 0;
    };
  };
  const int failures = in_processes({
      each([&](const std::string& n) { return make_link("/a" + n, "/e/new" + n); }),
      each([&](const std::string& n) { return remove("/d/b" + n); }),
      each([&](const std::string& n) { return change_mode("/e/c" + n, 0600); }),
      each([&](const std::string& n) {
        // One name goes and one comes, so there are two, three or four of them.
        const StatX st = look("/a" + n);
        return st.stx_nlink >= 2 && st.stx_nlink <= 4 ? 0L : -1L;
      }),
  });
  EXPECT_EQ(failures, 0);
  for (int i = 0; i < kFiles; i++) {
    const std::string n = std::to_string(i);
    expect_one({"/a" + n, "/e/c" + n, "/e/new" + n}, 3);
    if (HasFailure()) return;
  }
}

TEST_F(Index, ReadersSeeOneCountWhileNamesComeFromTheIndex) {
  constexpr int kNames = 800;
  make_lower_dir("/d");
  write_file(lower("/d/n0"), "data");
  for (int i = 1; i < kNames; i++)
    ASSERT_EQ(link(lower("/d/n0").c_str(), lower("/d/n" + std::to_string(i)).c_str()), 0);
  start();
  const int failures = in_processes({
      [&] {
        for (int i = 0; i < kNames; i++)
          if (change_mode("/d/n" + std::to_string(i), 0600) != 0) return 1;
        return 0;
      },
      [&] {
        for (int i = 0; i < 2 * kNames; i++)
          if (look("/d/n" + std::to_string(i % 2 * 7)).stx_nlink != kNames) return 1;
        return 0;
      },
  });
  EXPECT_EQ(failures, 0);
  expect_one({"/d/n0", "/d/n799"}, kNames);
}

}  // namespace
}  // namespace ovl::testing
