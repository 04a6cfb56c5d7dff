// Lookup across layers, on crafted ones.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

class Lookup : public OverlayTest {
 protected:
  void dir(const std::string& real) { std::filesystem::create_directories(real); }
  void whiteout(const std::string& real) {
    ASSERT_EQ(mknod(real.c_str(), S_IFCHR, makedev(0, 0)), 0);
  }
  void set(const std::string& real, const char* name, const std::string& value) {
    ASSERT_EQ(lsetxattr(real.c_str(), name, value.data(), value.size(), 0), 0) << real;
  }
  // "absent", "lower", "upper", "whiteout", followed by the real paths below, relative to the
  // test's root.
  std::string see(const std::string& rest) {
    Op op(caller(), session());
    const std::string virt = at(rest);
    Result<const Node*> r = node_at(op, Str(virt.data(), virt.size()));
    if (!r.ok()) return "E" + std::to_string(r.error());
    static const char* const names[] = {"absent", "lower", "upper", "whiteout"};
    std::string text = names[static_cast<int>(r.value()->where)];
    for (uint32_t i = 0; i < r.value()->lower_count; i++)
      text += " " + std::string(r.value()->lowers[i].path.c_str()).substr(root().size());
    return text;
  }
};

TEST_F(Lookup, UpperHidesLowerAndWhiteoutsHide) {
  dir(lower("/d"));
  write_file(lower("/d/a"), "");
  write_file(lower("/d/b"), "");
  write_file(lower("/d/c"), "");
  dir(upper("/d"));
  write_file(upper("/d/a"), "");
  whiteout(upper("/d/b"));
  start();
  EXPECT_EQ(see("/d"), "upper /lower/d");
  EXPECT_EQ(see("/d/a"), "upper");
  EXPECT_EQ(see("/d/b"), "whiteout");
  EXPECT_EQ(see("/d/c"), "lower /lower/d/c");
  EXPECT_EQ(see("/d/e"), "absent");
}

TEST_F(Lookup, OpaqueDirectoryEndsTheSearch) {
  dir(lower("/d"));
  write_file(lower("/d/a"), "");
  dir(upper("/d"));
  set(upper("/d"), "user.overlay.opaque", "y");
  start();
  EXPECT_EQ(see("/d"), "upper");
  EXPECT_EQ(see("/d/a"), "absent");
}

TEST_F(Lookup, SeveralLowersMergeTopmostFirst) {
  for (int i = 0; i < 3; i++) dir(lower("/d", i));
  write_file(lower("/d/x", 2), "");
  write_file(lower("/d/y", 1), "");
  whiteout(lower("/d/z", 1));
  write_file(lower("/d/z", 2), "");
  Options options;
  options.lowers = 3;
  start(options);
  EXPECT_EQ(see("/d"), "lower /lower/d /lower1/d /lower2/d");
  EXPECT_EQ(see("/d/x"), "lower /lower2/d/x");
  EXPECT_EQ(see("/d/y"), "lower /lower1/d/y");
  EXPECT_EQ(see("/d/z"), "absent");
}

TEST_F(Lookup, RedirectsRelativeAndAbsolute) {
  dir(lower("/p/old/in"));
  dir(lower("/q"));
  dir(upper("/p/new"));
  set(upper("/p/new"), "user.overlay.redirect", "old");
  dir(upper("/q/far"));
  set(upper("/q/far"), "user.overlay.redirect", "/p/old");
  start();
  EXPECT_EQ(see("/p/new"), "upper /lower/p/old");
  EXPECT_EQ(see("/p/new/in"), "lower /lower/p/old/in");
  EXPECT_EQ(see("/q/far/in"), "lower /lower/p/old/in");
}

TEST_F(Lookup, RedirectOfAMiddleLayerCountsBelowIt) {
  dir(lower("/new", 0));
  dir(lower("/new", 1));
  set(lower("/new", 1), "user.overlay.redirect", "/old");
  dir(lower("/old", 2));
  dir(lower("/new", 2));
  Options options;
  options.lowers = 3;
  start(options);
  EXPECT_EQ(see("/new"), "lower /lower/new /lower1/new /lower2/old");
}

TEST_F(Lookup, DirectoriesOnTheWayOfARedirectHaveTheirMarks) {
  for (const char* name : {"/opaque/in", "/moved/in"}) dir(lower(name, 0));
  for (const char* name : {"/opaque/in", "/moved/in", "/old/in"}) dir(lower(name, 1));
  set(lower("/opaque", 0), "user.overlay.opaque", "y");
  set(lower("/moved", 0), "user.overlay.redirect", "/old");
  dir(upper("/a"));
  set(upper("/a"), "user.overlay.redirect", "/opaque/in");
  dir(upper("/b"));
  set(upper("/b"), "user.overlay.redirect", "/moved/in");
  Options options;
  options.lowers = 2;
  start(options);
  EXPECT_EQ(see("/a"), "upper /lower/opaque/in");
  EXPECT_EQ(see("/b"), "upper /lower/moved/in /lower1/old/in");
}

TEST_F(Lookup, MetacopyFindsItsDataOrFails) {
  write_file(lower("/f"), "data");
  write_file(upper("/f"), "");
  set(upper("/f"), "user.overlay.metacopy", "");
  write_file(upper("/lost"), "");
  set(upper("/lost"), "user.overlay.metacopy", "");
  start();
  EXPECT_EQ(see("/f"), "upper /lower/f");
  EXPECT_EQ(see("/lost"), "E5");
}

TEST_F(Lookup, RecordedOwnerAndModeAreWhatIsSeen) {
  write_file(upper("/f"), "");
  set(upper("/f"), "user.containers.override_stat", "12:34:4711:file");
  start();
  Op op(caller(), session());
  const std::string virt = at("/f");
  const Node* node = node_at(op, Str(virt.data(), virt.size())).value();
  EXPECT_EQ(node->uid, 12u);
  EXPECT_EQ(node->gid, 34u);
  EXPECT_EQ(node->mode, mode_t{S_IFREG | 04711});
}

TEST_F(Lookup, FuseOverlayfsOpaqueEndsTheSearchAndItsFileIsNoName) {
  dir(lower("/d"));
  write_file(lower("/d/f"), "");
  dir(upper("/d"));
  set(upper("/d"), "user.fuseoverlayfs.opaque", "y");
  write_file(upper("/d/.wh..wh..opq"), "");
  write_file(upper("/.wh..wh..opq"), "");
  start();
  EXPECT_EQ(see("/d"), "upper");
  EXPECT_EQ(see("/d/f"), see("/d/none"));
  EXPECT_EQ(see("/d/.wh..wh..opq"), see("/d/none"));
  EXPECT_EQ(see("/.wh..wh..opq"), "upper");  // a program's own
}

TEST_F(Lookup, CopiedFileKeepsTheObjectBelowOnlyWithAnOrigin) {
  write_file(lower("/f"), "");
  write_file(lower("/g"), "");
  write_file(upper("/f"), "");
  set(upper("/f"), "user.overlay.origin", "");
  write_file(upper("/g"), "");
  start();
  EXPECT_EQ(see("/f"), "upper /lower/f");
  EXPECT_EQ(see("/g"), "upper");
}

}  // namespace
}  // namespace ovl::testing
