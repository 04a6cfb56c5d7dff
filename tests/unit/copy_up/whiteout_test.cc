// Whiteouts on disk.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/copy_up/copy_up.h"
#include "core/format/format.h"
#include "core/session/lock.h"
#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

class Whiteout : public OverlayTest {
 protected:
  int put(const std::string& rest) {
    Op op(caller(), session());
    Mutation mutation(session(), Mutation::Topology::kExclusive);
    const std::string real = upper(rest);
    return put_whiteout(op, session().overlay(0), CStr(real.c_str(), real.size())).error();
  }
  static ino_t inode(const std::string& real) {
    struct stat st = {};
    EXPECT_EQ(lstat(real.c_str(), &st), 0) << real;
    return st.st_ino;
  }
};

TEST_F(Whiteout, SharesOneInode) {
  start();
  ASSERT_EQ(put("/a"), 0);
  ASSERT_EQ(put("/b"), 0);
  EXPECT_TRUE(is_whiteout(upper("/a")));
  EXPECT_EQ(inode(upper("/a")), inode(upper("/b")));
}

TEST_F(Whiteout, ReplacesFileAndDirectory) {
  start();
  write_file(upper("/f"), "x");
  std::filesystem::create_directory(upper("/d"));
  ASSERT_EQ(put("/f"), 0);
  ASSERT_EQ(put("/d/gone"), 0);
  ASSERT_EQ(put("/d"), 0);
  EXPECT_TRUE(is_whiteout(upper("/f")));
  EXPECT_TRUE(is_whiteout(upper("/d")));
  int left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(work("/work")))
    left += entry.path().filename() != "#whiteout";
  EXPECT_EQ(left, 0) << "temporaries are gone";
}

TEST_F(Whiteout, WhereDevicesAreRefusedIsAnXattr) {
  std::filesystem::create_directory(lower("/d"));
  write_file(lower("/d/f"), "x");
  Options options;
  options.can_whiteout_device = false;
  start(options);
  std::filesystem::create_directory(upper("/d"));
  ASSERT_EQ(put("/d/f"), 0);
  struct stat st;
  ASSERT_EQ(lstat(upper("/d/f").c_str(), &st), 0);
  EXPECT_TRUE(S_ISREG(st.st_mode));
  EXPECT_NE(xattr(upper("/d/f"), priv_name(XattrPrefix::kUser, Priv::kWhiteout)), "<none>");
  EXPECT_EQ(xattr(upper("/d"), priv_name(XattrPrefix::kUser, Priv::kOpaque)), "x");
  Op op(caller(), session());
  const std::string virt = at("/d/f");
  Result<const Node*> node = node_at(op, Str(virt.data(), virt.size()));
  ASSERT_TRUE(node.ok());
  EXPECT_EQ(node.value()->where, Where::kUpperWhiteout);
}

}  // namespace
}  // namespace ovl::testing
