// Owners and modes that programs see: really set where that is possible, recorded where not.
#include "tests/unit/attr/attr_fixture.h"

namespace ovl::testing {
namespace {

constexpr char kRecord[] = "user.containers.override_stat";

class SetShown : public AttrTest {
 protected:
  int set(const std::string& file, const Shown& shown) {
    Op op(caller(), session());
    StatX now;
    EXPECT_EQ(sys_lstat(CStr(file.c_str(), file.size()), &now).error(), 0);
    return set_shown(op, session().overlay(0), CStr(file.c_str(), file.size()), now, shown).error();
  }
  void make(const std::string& file, mode_t m) {
    write_file(file, "x", m);
    if (getuid() == 0) {
      ASSERT_EQ(::chown(file.c_str(), 1500, 1500), 0);
    }
    uid_ = real(file).st_uid;
    gid_ = real(file).st_gid;
  }
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

TEST_F(SetShown, OwnModeNeedsNoRecord) {
  begin();
  make(upper("/f"), 0600);
  AsUser user;
  EXPECT_EQ(set(upper("/f"), {uid_, gid_, S_IFREG | 04755}), 0);
  EXPECT_EQ(real_mode(upper("/f")), 04755u);
  EXPECT_EQ(xattr(upper("/f"), kRecord), "<none>");
}

TEST_F(SetShown, ModeWithoutOwnersRightsIsRecorded) {
  begin();
  make(upper("/f"), 0644);
  AsUser user;
  if (geteuid() == 0) GTEST_SKIP() << "root needs no record of a mode";
  EXPECT_EQ(set(upper("/f"), {uid_, gid_, S_IFREG | 0400}), 0);
  EXPECT_EQ(real_mode(upper("/f")), 0600u);
  EXPECT_EQ(xattr(upper("/f"), kRecord),
            std::to_string(uid_) + ":" + std::to_string(gid_) + ":0400:file");
  EXPECT_EQ(set(upper("/f"), {uid_, gid_, S_IFREG | 0644}), 0);
  EXPECT_EQ(real_mode(upper("/f")), 0644u);
  EXPECT_EQ(xattr(upper("/f"), kRecord), "<none>");
}

TEST_F(SetShown, UnreadableFileIsMadeReadableForItsRecord) {
  begin();
  make(upper("/f"), 0);
  AsUser user;
  if (geteuid() == 0) GTEST_SKIP() << "root needs no record of a mode";
  EXPECT_EQ(set(upper("/f"), {uid_, gid_, S_IFREG | 0111}), 0);
  EXPECT_EQ(real_mode(upper("/f")), 0711u);
  EXPECT_EQ(mode("/f"), 0111u);
}

TEST_F(SetShown, ForeignOwnerIsRecordedAndLendsNoSetuid) {
  begin();
  make(upper("/f"), 0644);
  AsUser user;
  if (geteuid() == 0) GTEST_SKIP() << "root really gives files away";
  EXPECT_EQ(set(upper("/f"), {0, 0, S_IFREG | 06755}), 0);
  EXPECT_EQ(real_mode(upper("/f")), 0755u);
  EXPECT_EQ(real(upper("/f")).st_uid, uid_);
  EXPECT_EQ(xattr(upper("/f"), kRecord), "0:0:6755:file");
  const struct stat st = see("/f");
  EXPECT_EQ(st.st_mode, static_cast<mode_t>(S_IFREG | 06755));
  EXPECT_EQ(st.st_uid, 0u);
  EXPECT_EQ(st.st_gid, 0u);
}

TEST_F(SetShown, DeviceIsRecordedOnAFile) {
  begin();
  make(upper("/null"), 0600);
  AsUser user;
  EXPECT_EQ(set(upper("/null"), {0, 0, S_IFCHR | 0666, 1, 3}), 0);
  EXPECT_EQ(xattr(upper("/null"), kRecord), "0:0:0666:char-1-3");
  const struct stat st = see("/null");
  EXPECT_EQ(st.st_mode, static_cast<mode_t>(S_IFCHR | 0666));
  EXPECT_EQ(st.st_rdev, static_cast<dev_t>(0x103));
}

TEST_F(SetShown, DirectoryKeepsItsOwnersRights) {
  begin();
  std::filesystem::create_directory(upper("/d"));
  if (getuid() == 0) {
    ASSERT_EQ(::chown(upper("/d").c_str(), 1500, 1500), 0);
  }
  const struct stat st = real(upper("/d"));
  AsUser user;
  if (geteuid() == 0) GTEST_SKIP() << "root needs no record of a mode";
  EXPECT_EQ(set(upper("/d"), {st.st_uid, st.st_gid, S_IFDIR | 0}), 0);
  EXPECT_EQ(real_mode(upper("/d")), 0700u);
  EXPECT_EQ(mode("/d"), 0u);
}

TEST_F(SetShown, RootReallyGivesAway) {
  if (getuid() != 0) GTEST_SKIP() << "needs root";
  begin();
  make(upper("/f"), 0644);
  EXPECT_EQ(set(upper("/f"), {7, 8, S_IFREG | 04711}), 0);
  const struct stat st = real(upper("/f"));
  EXPECT_EQ(st.st_uid, 7u);
  EXPECT_EQ(st.st_gid, 8u);
  EXPECT_EQ(st.st_mode, static_cast<mode_t>(S_IFREG | 04711));
  EXPECT_EQ(xattr(upper("/f"), kRecord), "<none>");
}

TEST_F(SetShown, SymlinkTakesWhatTheUserCanSet) {
  begin();
  ASSERT_EQ(symlink("x", upper("/l").c_str()), 0);
  if (getuid() == 0) {
    ASSERT_EQ(lchown(upper("/l").c_str(), 1500, 1500), 0);
  }
  AsUser user;
  EXPECT_EQ(set(upper("/l"), {0, 0, S_IFLNK | 0777}), 0);
}

}  // namespace
}  // namespace ovl::testing
