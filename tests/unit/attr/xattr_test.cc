// Extended attributes: private names hidden, a program's own escaped, access lists in step with the
// mode.
#include <linux/xattr.h>

#include "core/attr/acl.h"
#include "tests/unit/attr/attr_fixture.h"

namespace ovl::testing {
namespace {

class Xattr : public AttrTest {};

TEST_F(Xattr, SetOnALowerFileLandsInTheUpper) {
  write_file(lower("/f"), "data");
  ASSERT_EQ(setxattr(lower("/f").c_str(), "user.old", "1", 1, 0), 0);
  begin();
  AsUser user;
  EXPECT_EQ(set("/f", "user.new", "2"), 0);
  EXPECT_EQ(get("/f", "user.new"), "2");
  EXPECT_EQ(get("/f", "user.old"), "1");
  EXPECT_EQ(list("/f"), "user.new user.old ");
  EXPECT_EQ(remove("/f", "user.old"), 0);
  EXPECT_EQ(list("/f"), "user.new ");
  EXPECT_EQ(get("/f", "user.old"), "E61");
}

TEST_F(Xattr, PrivateNamesAreHiddenAndOnesOwnEscaped) {
  write_file(lower("/f"), "data");
  begin();
  AsUser user;
  EXPECT_EQ(set("/f", "user.overlay.opaque", "mine"), 0);
  EXPECT_EQ(get("/f", "user.overlay.opaque"), "mine");
  EXPECT_EQ(xattr(upper("/f"), "user.overlay.overlay.opaque"), "mine");
  EXPECT_EQ(list("/f"), "user.overlay.opaque ");
  EXPECT_EQ(get("/f", "user.overlay.metacopy"), "E61");
  EXPECT_EQ(get("/f", "user.containers.override_stat"), "E61");
  EXPECT_EQ(set("/f", "user.containers.override_stat", "0:0:0"), -EPERM);
  EXPECT_EQ(remove("/f", "user.containers.override_stat"), -ENODATA);
  EXPECT_EQ(remove("/f", "user.overlay.opaque"), 0);
  EXPECT_EQ(list("/f"), "");
}

TEST_F(Xattr, SizesAsTheKernelHasThem) {
  write_file(lower("/f"), "");
  begin();
  AsUser user;
  ASSERT_EQ(set("/f", "user.a", "12345"), 0);
  char value[8];
  EXPECT_EQ(run<op_getxattr>(path("/f"), UserPath("user.a"), UserBuf(), size_t{0}), 5);
  EXPECT_EQ(run<op_getxattr>(path("/f"), UserPath("user.a"), UserBuf(value), size_t{4}), -ERANGE);
  EXPECT_EQ(run<op_getxattr>(path("/f"), UserPath("user.a"), UserBuf(value), size_t{5}), 5);
  EXPECT_EQ(run<op_listxattr>(path("/f"), UserBuf(), size_t{0}), 7);
  EXPECT_EQ(run<op_listxattr>(path("/f"), UserBuf(value), size_t{6}), -ERANGE);
  EXPECT_EQ(run<op_listxattr>(path("/f"), UserBuf(value), size_t{7}), 7);
  EXPECT_EQ(set("/f", "user.empty", ""), 0);
  EXPECT_EQ(get("/f", "user.empty"), "");
}

TEST_F(Xattr, NamesAndFlagsAreChecked) {
  write_file(lower("/f"), "");
  begin();
  AsUser user;
  EXPECT_EQ(set("/f", "", "x"), -ERANGE);
  const std::string longest = "user." + std::string(250, 'n'), longer = longest + "n";
  EXPECT_EQ(set("/f", longer.c_str(), "x"), -ERANGE);
  EXPECT_EQ(set("/f", "user.a", "x", 4), -EINVAL);
  EXPECT_EQ(set("/f", "user.a", std::string(70000, 'x')), -E2BIG);
  EXPECT_EQ(set("/f", "nonsense", "x"), -EOPNOTSUPP);
  EXPECT_EQ(get("/f", "nonsense"), "E95");
  EXPECT_EQ(run<op_setxattr>(path("/f"), UserPath(), UserBuf(), size_t{0}, 0), -EFAULT);
  EXPECT_EQ(run<op_setxattr>(path("/f"), UserPath("user.a"), UserBuf(), size_t{3}, 0), -EFAULT);
  EXPECT_EQ(set("/f", "user.a", "x", XATTR_REPLACE), -ENODATA);
  EXPECT_EQ(set("/f", "user.a", "x", XATTR_CREATE), 0);
  EXPECT_EQ(set("/f", "user.a", "y", XATTR_CREATE), -EEXIST);
  EXPECT_EQ(set("/f", longest.c_str(), "x"), 0);
  EXPECT_EQ(get("/f", longest.c_str()), "x");
  const std::string no_room = "user.overlay." + std::string(240, 'n');
  EXPECT_EQ(set("/f", no_room.c_str(), "x"), -EOPNOTSUPP);
}

TEST_F(Xattr, SymlinksHaveNoUserNames) {
  write_file(lower("/f"), "");
  ASSERT_EQ(symlink("f", lower("/l").c_str()), 0);
  begin();
  AsUser user;
  EXPECT_EQ(set("/l", "user.a", "x"), -EPERM);
  EXPECT_EQ(get("/l", "user.a"), "E61");
  EXPECT_EQ(list("/l"), "");
  EXPECT_FALSE(exists(upper("/l")));
  EXPECT_EQ(run<op_setxattr>(path("/l"), UserPath("user.a"), UserBuf(const_cast<char*>("x")),
                             size_t{1}, 0),
            0);
  EXPECT_EQ(get("/f", "user.a"), "x");
}

TEST_F(Xattr, RemovingNothingCopiesNothing) {
  write_file(lower("/f"), "");
  begin();
  AsUser user;
  EXPECT_EQ(remove("/f", "user.a"), -ENODATA);
  EXPECT_EQ(remove("/f", kAccessAcl), 0);
  EXPECT_FALSE(exists(upper("/f")));
}

TEST_F(Xattr, CapabilityOfARootOwnedFileIsStored) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to make the file";
  write_file(lower("/ping"), "", 0755);
  begin();
  write_file(upper("/own"), "", 0755);
  ASSERT_EQ(::chown(upper("/own").c_str(), 1500, 1500), 0);
  AsUser user;
  const std::string value("\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  EXPECT_EQ(set("/own", "security.capability", value), -EPERM);
  EXPECT_EQ(set("/ping", "security.capability", value), 0);
  EXPECT_EQ(get("/ping", "security.capability"), value);
  EXPECT_EQ(list("/ping"), "security.capability ");
  EXPECT_EQ(xattr(upper("/ping"), "user.containers.override_security.capability"), value);
  EXPECT_EQ(set("/ping", "security.capability", value, XATTR_CREATE), -EEXIST);
  // A change of owner takes it away.
  EXPECT_EQ(chown("/ping", 0, 0), 0);
  EXPECT_EQ(get("/ping", "security.capability"), "E61");
  EXPECT_EQ(remove("/ping", "security.capability"), -ENODATA);
}

TEST_F(Xattr, TrustedNamesAreRootsAlone) {
  write_file(lower("/f"), "");
  begin();
  AsUser user;
  if (geteuid() == 0) GTEST_SKIP() << "is root";
  EXPECT_EQ(set("/f", "trusted.a", "x"), -EPERM);
  EXPECT_EQ(get("/f", "trusted.a"), "E61");
  EXPECT_FALSE(exists(upper("/f")));
}

// system.posix_acl_access of u::<owner>,u:77:rw-,g::r--,m::<mask>,o::<other>
std::string access_list(int owner, int mask, int other) {
  auto entry = [](int tag, int permission, int id) {
    std::string e(8, '\0');
    e[0] = static_cast<char>(tag);
    e[2] = static_cast<char>(permission);
    for (int i = 0; i < 4; i++) e[4 + i] = static_cast<char>(id >> (8 * i));
    return e;
  };
  return std::string("\2\0\0\0", 4) + entry(1, owner, -1) + entry(2, 6, 77) + entry(4, 4, -1) +
         entry(16, mask, -1) + entry(32, other, -1);
}

TEST_F(Xattr, AccessListSetsTheModeAndChmodTheList) {
  write_file(lower("/f"), "", 0644);
  begin();
  AsUser user;
  const long r = set("/f", kAccessAcl, access_list(4, 6, 1));
  if (r == -EOPNOTSUPP) GTEST_SKIP() << "no access lists here";
  ASSERT_EQ(r, 0);
  EXPECT_EQ(mode("/f"), 0461u);
  EXPECT_EQ(get("/f", kAccessAcl), access_list(4, 6, 1));
  if (geteuid() != 0) {
    EXPECT_EQ(real_mode(upper("/f")), 0661u);
  }
  EXPECT_EQ(chmod("/f", 0640), 0);
  EXPECT_EQ(get("/f", kAccessAcl), access_list(6, 4, 0));
  EXPECT_EQ(set("/f", kAccessAcl, "bad"), -EINVAL);
  EXPECT_EQ(remove("/f", kAccessAcl), 0);
  EXPECT_EQ(get("/f", kAccessAcl), "E61");
  EXPECT_EQ(set("/f", kDefaultAcl, access_list(6, 4, 0)), -EACCES);
}

}  // namespace
}  // namespace ovl::testing
