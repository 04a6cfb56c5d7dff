// What symlinks and special files of an upper can't carry: companions in the workdir.
#include <sys/socket.h>

#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

class Beside : public NamesTest {
 protected:
  void fill() {
    make_lower_dir("/d");
    write_file(lower("/f"), "f");
    ASSERT_EQ(symlink("f", lower("/s").c_str()), 0);
    ASSERT_EQ(mkfifo(lower("/p").c_str(), 0644), 0);
    ASSERT_EQ(mknod(lower("/d/k").c_str(), S_IFSOCK | 0600, 0), 0);
  }
  std::vector<std::string> companions() const {
    std::vector<std::string> all;
    if (!exists(work("/ovlrun/beside"))) return all;
    for (const auto& entry : std::filesystem::directory_iterator(work("/ovlrun/beside")))
      all.push_back(entry.path());
    return all;
  }
  bool looked_for() { return session().state().beside_used.load() != 0; }
  long change_mode(const std::string& p, mode_t mode) {
    return run<op_fchmodat2>(AT_FDCWD, path(p), mode, 0);
  }
  static std::string lxattr(const std::string& real, const char* name) {
    char value[256];
    const ssize_t n = lgetxattr(real.c_str(), name, value, sizeof value);
    return n < 0 ? "<none>" : std::string(value, static_cast<size_t>(n));
  }
};

TEST_F(Beside, NobodyLooksBeforeThereIsOne) {
  fill();
  start();
  ASSERT_EQ(change_mode("/f", 0600), 0);
  ASSERT_EQ(make_symlink("f", "/new"), 0);
  ASSERT_EQ(make_node("/d/fifo", S_IFIFO | 0600), 0);
  ASSERT_EQ(remove("/s"), 0);
  ASSERT_EQ(make_symlink("new", "/s"), 0);
  ASSERT_EQ(move("/s", "/d/s"), 0);
  EXPECT_FALSE(looked_for());
  EXPECT_EQ(companions().size(), 0u);
  ASSERT_EQ(change_mode("/p", 0600), 0);
  EXPECT_TRUE(looked_for());
  EXPECT_EQ(companions().size(), 1u);
}

TEST_F(Beside, TheNextSessionKnows) {
  fill();
  start();
  const uint64_t link = look("/s").stx_ino, fifo = look("/p").stx_ino, other = look("/d/k").stx_ino;
  ASSERT_EQ(move("/s", "/d/s2"), 0);
  ASSERT_EQ(change_mode("/p", 0600), 0);
  ASSERT_EQ(make_link("/d/k", "/k2"), 0);
  start();
  EXPECT_TRUE(looked_for());
  EXPECT_EQ(look("/d/s2").stx_ino, link);
  EXPECT_EQ(look("/p").stx_ino, fifo);
  EXPECT_EQ(look("/d/k").stx_ino, other);
  EXPECT_EQ(look("/k2").stx_ino, other);
  EXPECT_EQ(look("/k2").stx_nlink, 2u);
  Seen seen;
  see_overlay("", &seen);  // d_ino agrees
}

TEST_F(Beside, GoesWithTheLastName) {
  fill();
  start();
  ASSERT_EQ(make_link("/s", "/d/s2"), 0);
  ASSERT_EQ(change_mode("/p", 0600), 0);
  EXPECT_EQ(companions().size(), 2u);
  ASSERT_EQ(remove("/s"), 0);
  EXPECT_EQ(companions().size(), 2u);
  ASSERT_EQ(move("/p", "/d/s2"), 0);  // replaces the last one
  EXPECT_EQ(companions().size(), 1u);
  ASSERT_EQ(move("/d/s2", "/d/k", RENAME_EXCHANGE), 0);
  EXPECT_EQ(companions().size(), 2u);
  ASSERT_EQ(remove("/d/k"), 0);
  ASSERT_EQ(remove("/d/s2"), 0);
  EXPECT_EQ(companions().size(), 0u);
}

TEST_F(Beside, IsMadeBelowAnyUmask) {
  fill();
  start();
  const mode_t before = umask(0777);
  const long moved = move("/s", "/d/s2");
  const long changed = change_mode("/p", 0600);
  umask(before);
  EXPECT_EQ(moved, 0);
  EXPECT_EQ(changed, 0);
  EXPECT_EQ(look("/p").stx_mode, S_IFIFO | 0600);
  for (const std::string& companion : companions())
    EXPECT_EQ(xattr(companion, name(Priv::kOverrideStat)), "<none>");
}

TEST_F(Beside, ARecordIsWhatProgramsSee) {
  fill();
  start();
  ASSERT_EQ(move("/s", "/s2"), 0);
  ASSERT_EQ(companions().size(), 1u);
  const std::string record = "65500:65501:0777:symlink";
  ASSERT_EQ(
      setxattr(companions()[0].c_str(), name(Priv::kOverrideStat), record.data(), record.size(), 0),
      0);
  EXPECT_EQ(look("/s2").stx_uid, 65500u);
  EXPECT_EQ(look("/s2").stx_gid, 65501u);
  const long fd = open_fd("/s2", O_PATH | O_NOFOLLOW);
  ASSERT_GE(fd, 0);
  struct stat st = {};
  ASSERT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
  EXPECT_EQ(st.st_uid, 65500u);
  EXPECT_EQ(st.st_ino, look("/s2").stx_ino);
  close(static_cast<int>(fd));
}

TEST_F(Beside, HardLinksOfTheLowerStayLinked) {
  fill();
  make_lower_dir("/e");
  ASSERT_EQ(link(lower("/s").c_str(), lower("/t").c_str()), 0);
  ASSERT_EQ(link(lower("/p").c_str(), lower("/e/q").c_str()), 0);
  start();
  const uint64_t linked = look("/s").stx_ino, fifo = look("/p").stx_ino;
  ASSERT_EQ(move("/s", "/d/s"), 0);
  ASSERT_EQ(change_mode("/p", 0600), 0);
  EXPECT_EQ(companions().size(), 2u);
  for (int session = 0; session < 2; session++) {
    for (const char* each : {"/d/s", "/t"}) {
      EXPECT_EQ(look(each).stx_ino, linked) << each;
      EXPECT_EQ(look(each).stx_nlink, 2u) << each;
    }
    for (const char* each : {"/p", "/e/q"}) {
      EXPECT_EQ(look(each).stx_ino, fifo) << each;
      EXPECT_EQ(look(each).stx_nlink, 2u) << each;
      EXPECT_EQ(look(each).stx_mode, S_IFIFO | 0600) << each;
    }
    Seen seen;
    see_overlay("", &seen);
    start();
  }
  for (const char* each : {"/t", "/p", "/d/s", "/e/q"}) ASSERT_EQ(remove(each), 0) << each;
  EXPECT_EQ(companions().size(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(work("/index")));
}

TEST_F(Beside, WithoutAnIndexAHardLinkOfTheLowerIsBroken) {
  fill();
  ASSERT_EQ(link(lower("/s").c_str(), lower("/t").c_str()), 0);
  Options options;
  options.index = false;
  start(options);
  const uint64_t linked = look("/s").stx_ino;
  ASSERT_EQ(move("/s", "/d/s"), 0);
  EXPECT_NE(look("/d/s").stx_ino, linked) << "two different objects of one number";
  EXPECT_EQ(look("/t").stx_ino, linked);
  EXPECT_EQ(look("/d/s").stx_nlink, 1u);
  EXPECT_EQ(companions().size(), 0u);
}

TEST_F(Beside, UnderTrustedTheObjectCarriesItItself) {
  if (geteuid() != 0) GTEST_SKIP() << "trusted xattrs need root";
  fill();
  Options options;
  options.prefix = XattrPrefix::kTrusted;
  start(options);
  const uint64_t link = look("/s").stx_ino, fifo = look("/p").stx_ino;
  ASSERT_EQ(move("/s", "/d/s2"), 0);
  ASSERT_EQ(change_mode("/p", 0600), 0);
  EXPECT_EQ(look("/d/s2").stx_ino, link);
  EXPECT_EQ(look("/p").stx_ino, fifo);
  EXPECT_NE(lxattr(upper("/d/s2"), priv_name(XattrPrefix::kTrusted, Priv::kOrigin)), "<none>");
  EXPECT_EQ(companions().size(), 0u);
  EXPECT_FALSE(looked_for());
  Seen seen;
  see_overlay("", &seen);
}

}  // namespace
}  // namespace ovl::testing
