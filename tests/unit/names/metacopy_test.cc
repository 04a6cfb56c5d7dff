// Files of a lower that get other names: their data stays where it is, and a redirect leads to it.
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

class Metacopy : public NamesTest {
 protected:
  static constexpr size_t kSize = 100'000;
  static std::string data(char c = 'x') { return std::string(kSize, c); }
  std::string redirect(const std::string& rest) const {
    return xattr(upper(rest), name(Priv::kRedirect));
  }
  bool is_metacopy(const std::string& rest) const {
    return xattr(upper(rest), name(Priv::kMetacopy)) != "<none>";
  }
  // Of the upper's file: no data; of what programs see: that of the lower's.
  void expect_no_data(const std::string& rest, const StatX& before) {
    EXPECT_EQ(real(upper(rest)).st_blocks, 0) << rest;
    EXPECT_TRUE(is_metacopy(rest)) << rest;
    const StatX now = look(rest);
    EXPECT_EQ(now.stx_size, before.stx_size) << rest;
    EXPECT_EQ(now.stx_blocks, before.stx_blocks) << rest;
    EXPECT_EQ(now.stx_ino, before.stx_ino) << rest;
    EXPECT_EQ(now.stx_mtime.tv_nsec, before.stx_mtime.tv_nsec) << rest;
  }
};

TEST_F(Metacopy, RenameInOneDirectoryHasARelativeRedirect) {
  write_file(lower("/f"), data());
  start();
  const StatX before = look("/f");
  ASSERT_EQ(move("/f", "/g"), 0);
  expect_no_data("/g", before);
  EXPECT_EQ(redirect("/g"), "f");
  EXPECT_EQ(read_virtual("/g"), data());
  EXPECT_TRUE(is_whiteout(upper("/f")));
  EXPECT_TRUE(exists(work("/work/incompat/ovlrun"))) << "the kernel would show zeros";
}

TEST_F(Metacopy, RenameAcrossDirectoriesHasAnAbsoluteRedirect) {
  make_lower_dir("/d");
  make_lower_dir("/e");
  write_file(lower("/d/f"), data());
  start();
  const StatX before = look("/d/f");
  ASSERT_EQ(move("/d/f", "/e/g"), 0);
  expect_no_data("/e/g", before);
  EXPECT_EQ(redirect("/e/g"), "/d/f");
  ASSERT_EQ(make_dir("/new"), 0);
  ASSERT_EQ(move("/e/g", "/new/h"), 0);
  expect_no_data("/new/h", before);
  EXPECT_EQ(redirect("/new/h"), "/d/f") << "it stays";
  EXPECT_EQ(read_virtual("/new/h"), data());
}

TEST_F(Metacopy, ARelativeRedirectBecomesAbsolute) {
  make_lower_dir("/d/sub");
  write_file(lower("/d/f"), data());
  start();
  const StatX before = look("/d/f");
  ASSERT_EQ(move("/d/f", "/d/g"), 0);
  ASSERT_EQ(move("/d/g", "/d/h"), 0);
  EXPECT_EQ(redirect("/d/h"), "f") << "it stays";
  ASSERT_EQ(move("/d/h", "/d/sub/f"), 0);
  EXPECT_EQ(redirect("/d/sub/f"), "/d/f");
  expect_no_data("/d/sub/f", before);
  ASSERT_EQ(move("/d/sub/f", "/d/f"), 0);
  expect_no_data("/d/f", before);
  EXPECT_EQ(read_virtual("/d/f"), data());
}

TEST_F(Metacopy, FollowsItsDirectoryThatMoves) {
  make_lower_dir("/d/sub");
  make_lower_dir("/e");
  write_file(lower("/d/sub/f"), data());
  start();
  const StatX before = look("/d/sub/f");
  ASSERT_EQ(move("/d/sub/f", "/d/sub/g"), 0);
  ASSERT_EQ(move("/d", "/e/d2"), 0);
  expect_no_data("/e/d2/sub/g", before);
  ASSERT_EQ(move("/e/d2/sub/g", "/top"), 0);
  EXPECT_EQ(redirect("/top"), "/d/sub/f") << "by the path in the lowers";
  expect_no_data("/top", before);
  EXPECT_EQ(read_virtual("/top"), data());
}

TEST_F(Metacopy, FromBelowADirectoryThatMoved) {
  make_lower_dir("/d");
  make_lower_dir("/e");
  write_file(lower("/d/f"), data());
  start();
  ASSERT_EQ(move("/d", "/moved"), 0);
  ASSERT_EQ(move("/moved/f", "/e/f"), 0);
  EXPECT_EQ(redirect("/e/f"), "/d/f");
  EXPECT_EQ(read_virtual("/e/f"), data());
}

TEST_F(Metacopy, IntoAnOpaqueDirectoryAndOverAWhiteout) {
  make_lower_dir("/d");
  write_file(lower("/d/other"), "hidden");
  write_file(lower("/f"), data());
  write_file(lower("/g"), data('g'));
  start();
  ASSERT_EQ(remove("/d/other"), 0);
  ASSERT_EQ(remove_dir("/d"), 0);
  ASSERT_EQ(make_dir("/d"), 0);
  ASSERT_EQ(move("/f", "/d/other"), 0);
  EXPECT_EQ(redirect("/d/other"), "/f");
  EXPECT_EQ(read_virtual("/d/other"), data());
  ASSERT_EQ(move("/g", "/f"), 0);
  EXPECT_EQ(read_virtual("/f"), data('g'));
  EXPECT_EQ(read_virtual("/d/other"), data());
}

TEST_F(Metacopy, ExchangeBringsNoData) {
  make_lower_dir("/d");
  write_file(lower("/d/a"), data('a'));
  write_file(lower("/b"), data('b'));
  start();
  const StatX a = look("/d/a"), b = look("/b");
  ASSERT_EQ(move("/d/a", "/b", RENAME_EXCHANGE), 0);
  expect_no_data("/b", a);
  expect_no_data("/d/a", b);
  EXPECT_EQ(read_virtual("/b"), data('a'));
  EXPECT_EQ(read_virtual("/d/a"), data('b'));
}

TEST_F(Metacopy, LinkHasOneAbsoluteRedirectForAllNames) {
  make_lower_dir("/d");
  write_file(lower("/f"), data());
  start();
  const StatX before = look("/f");
  ASSERT_EQ(make_link("/f", "/d/linked"), 0);
  EXPECT_EQ(redirect("/f"), "/f");
  EXPECT_EQ(redirect("/d/linked"), "/f");
  for (const char* each : {"/f", "/d/linked"}) {
    expect_no_data(each, before);
    EXPECT_EQ(look(each).stx_nlink, 2u);
    EXPECT_EQ(read_virtual(each), data());
  }
  ASSERT_EQ(move("/f", "/g"), 0);
  EXPECT_EQ(redirect("/g"), "/f");
  ASSERT_EQ(remove("/d/linked"), 0);
  expect_no_data("/g", before);
  ASSERT_EQ(write_new("/g", "NEW", O_WRONLY), 0);
  EXPECT_EQ(read_virtual("/g"), "NEW" + data().substr(3));
}

TEST_F(Metacopy, LinkOfARenamedFile) {
  make_lower_dir("/d");
  write_file(lower("/d/f"), data());
  start();
  ASSERT_EQ(move("/d/f", "/d/g"), 0);
  ASSERT_EQ(make_link("/d/g", "/d/h"), 0);
  EXPECT_EQ(redirect("/d/h"), "/d/f") << "names share it, and may go elsewhere";
  ASSERT_EQ(move("/d/h", "/h"), 0);
  EXPECT_EQ(read_virtual("/h"), data());
  EXPECT_EQ(read_virtual("/d/g"), data());
  ASSERT_EQ(move("/h", "/h2"), 0);
  EXPECT_EQ(redirect("/h2"), "/d/f");
}

TEST_F(Metacopy, FirstOpenForWritingBringsTheData) {
  write_file(lower("/f"), data());
  start();
  const StatX before = look("/f");
  ASSERT_EQ(move("/f", "/g"), 0);
  ASSERT_EQ(try_open("/g", O_RDWR), 0);
  EXPECT_FALSE(is_metacopy("/g"));
  EXPECT_EQ(read_file(upper("/g")), data());
  EXPECT_EQ(look("/g").stx_ino, before.stx_ino);
  EXPECT_EQ(look("/g").stx_nlink, 1u);
  ASSERT_EQ(move("/g", "/h"), 0);
  EXPECT_EQ(look("/h").stx_ino, before.stx_ino);
}

TEST_F(Metacopy, TruncationBringsNone) {
  write_file(lower("/f"), data());
  start();
  ASSERT_EQ(move("/f", "/g"), 0);
  ASSERT_EQ(try_open("/g", O_WRONLY | O_TRUNC), 0);
  EXPECT_EQ(read_virtual("/g"), "");
  EXPECT_FALSE(is_metacopy("/g"));
}

TEST_F(Metacopy, ARedirectThatDoesNotFitBringsTheData) {
  const std::string deep = "/" + std::string(200, 'a') + "/" + std::string(200, 'b');
  make_lower_dir(deep);
  write_file(lower(deep + "/f"), data());
  start();
  const uint64_t inode = look(deep + "/f").stx_ino;
  ASSERT_EQ(move(deep + "/f", "/g"), 0);
  EXPECT_EQ(read_file(upper("/g")), data());
  EXPECT_FALSE(is_metacopy("/g"));
  EXPECT_EQ(redirect("/g"), "<none>");
  EXPECT_EQ(look("/g").stx_ino, inode);
  ASSERT_EQ(try_open(deep + "/h", O_WRONLY | O_CREAT, 0644), 0);
  write_file(lower(deep + "/k"), data('k'));
  ASSERT_EQ(make_link(deep + "/k", "/k"), 0);
  EXPECT_EQ(read_file(upper("/k")), data('k'));
}

TEST_F(Metacopy, ARenamedCopyKeepsWhatTheRedirectSays) {
  make_lower_dir("/d");
  write_file(lower("/f"), data());
  write_file(lower("/d/f"), data('d'));
  start();
  const StatX before = look("/f");
  ASSERT_EQ(move("/f", "/g"), 0);
  ASSERT_EQ(try_open("/g", O_RDWR), 0);
  ASSERT_EQ(move("/g", "/d/f"), 0) << "where its relative redirect would lead to another file";
  EXPECT_EQ(look("/d/f").stx_ino, before.stx_ino);
  EXPECT_EQ(read_virtual("/d/f"), data());
}

TEST_F(Metacopy, WithoutRedirectsTheDataComes) {
  write_file(lower("/f"), data());
  write_file(lower("/g"), data());
  Options options;
  options.redirect_dir = RedirectDir::kFollow;
  start(options);
  ASSERT_EQ(move("/f", "/f2"), 0);
  ASSERT_EQ(make_link("/g", "/g2"), 0);
  for (const char* rest : {"/f2", "/g", "/g2"}) {
    EXPECT_EQ(read_file(upper(rest)), data()) << rest;
    EXPECT_FALSE(is_metacopy(rest)) << rest;
  }
  EXPECT_FALSE(exists(work("/work/incompat")));
}

TEST_F(Metacopy, NestedOnesReadTheLowestData) {
  Options options;
  options.lowers = 3;
  options.in_place = false;
  // The bottom has the data, the middle a renamed metacopy of it.
  write_file(lower("/orig", 2), data());
  write_file(lower("/renamed", 1), "");
  ASSERT_EQ(truncate(lower("/renamed", 1).c_str(), kSize), 0);
  ASSERT_EQ(setxattr(lower("/renamed", 1).c_str(), name(Priv::kMetacopy), "", 0, 0), 0);
  ASSERT_EQ(setxattr(lower("/renamed", 1).c_str(), name(Priv::kRedirect), "/orig", 5, 0), 0);
  make_lower_dir("/d");
  start(options);
  const StatX before = look("/renamed");
  ASSERT_EQ(move("/renamed", "/d/again"), 0);
  EXPECT_EQ(redirect("/d/again"), "/renamed");
  expect_no_data("/d/again", before);
  EXPECT_EQ(read_virtual("/d/again"), data());
  ASSERT_EQ(write_new("/d/again", "NEW", O_WRONLY), 0);
  EXPECT_EQ(read_virtual("/d/again"), "NEW" + data().substr(3));
}

TEST_F(Metacopy, LostDataIsAnError) {
  write_file(lower("/f"), data());
  start();
  ASSERT_EQ(move("/f", "/g"), 0);
  ASSERT_EQ(unlink(lower("/f").c_str()), 0);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(try_open("/g", O_RDONLY), -EIO);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(at("/g") + ":"), std::string::npos);
}

// --- descriptors on the lower's file ---
TEST_F(Metacopy, ADescriptorFindsTheNewName) {
  make_lower_dir("/d");
  write_file(lower("/f"), data(), 0644);
  start();
  const StatX before = look("/f");
  ASSERT_EQ(move("/f", "/d/g"), 0);
  const long fd = open_fd("/d/g", O_RDONLY);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(real(upper("/d/g")).st_blocks, 0);
  struct stat st = {};
  ASSERT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
  EXPECT_EQ(st.st_nlink, 1u);
  EXPECT_EQ(st.st_ino, before.stx_ino);
  ASSERT_EQ(run<op_fchmod>(static_cast<int>(fd), mode_t{0600}), 0);
  EXPECT_EQ(look("/d/g").stx_mode & 0777, 0600u);
  ASSERT_EQ(move("/d/g", "/h"), 0);
  ASSERT_EQ(run<op_fchmod>(static_cast<int>(fd), mode_t{0640}), 0);
  EXPECT_EQ(look("/h").stx_mode & 0777, 0640u);
  ASSERT_EQ(make_dir("/n"), 0);
  ASSERT_EQ(move("/h", "/n/h"), 0);
  ASSERT_EQ(move("/n", "/n2"), 0);
  char text[4096] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const long n = run<op_readlinkat>(AT_FDCWD, UserPath(link.c_str()), UserBuf(text), 4096);
  ASSERT_GT(n, 0);
  EXPECT_EQ(std::string(text, static_cast<size_t>(n)), at("/n2/h"));
  ASSERT_EQ(remove("/n2/h"), 0);
  ASSERT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
  EXPECT_EQ(st.st_nlink, 0u);
  close(static_cast<int>(fd));
}

TEST_F(Metacopy, ADescriptorFromBeforeTheRenameFindsTheNewName) {
  write_file(lower("/f"), data(), 0644);
  start();
  const long fd = open_fd("/f", O_RDONLY);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(move("/f", "/g"), 0);
  ASSERT_EQ(run<op_fchmod>(static_cast<int>(fd), mode_t{0600}), 0);
  EXPECT_EQ(look("/g").stx_mode & 0777, 0600u);
  close(static_cast<int>(fd));
}

TEST_F(Metacopy, MoreOpenFilesThanAreRememberedGetTheirData) {
  constexpr int kFiles = 5000;
  for (int i = 0; i < kFiles; i++) write_file(lower("/f" + std::to_string(i)), "data");
  start();
  for (int i = 0; i < kFiles; i++)
    ASSERT_EQ(move("/f" + std::to_string(i), "/g" + std::to_string(i)), 0);
  int whole = 0;
  for (int i = 0; i < kFiles; i++) {
    const std::string g = "/g" + std::to_string(i);
    const long fd = open_fd(g, O_RDONLY);
    ASSERT_GE(fd, 0);
    struct stat st = {};
    ASSERT_EQ(run<op_fstat>(static_cast<int>(fd), UserBuf(&st)), 0);
    EXPECT_EQ(st.st_nlink, 1u) << g;
    close(static_cast<int>(fd));
    if (!is_metacopy(g)) whole++;
    EXPECT_EQ(read_virtual(g), "data");
  }
  EXPECT_GT(whole, 0);
  EXPECT_LT(whole, kFiles / 2);
}

}  // namespace
}  // namespace ovl::testing
