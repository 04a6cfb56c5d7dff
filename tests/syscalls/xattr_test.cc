// Extended attributes and ACLs.
#include <string.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

class Xattr : public Tree {
 protected:
  void SetUp() override {
    Tree::SetUp();
    if (IsSkipped()) return;
    if (missing(Feature::kUserXattrs)) GTEST_SKIP() << "no user xattrs on this file system";
  }
};

PREPARE(Xattr, OfTheLowerComeAlong) {
  for (int i = 0; i < 5; i++) {
    std::string name = "user.more" + std::to_string(i), value(size_t(i) * 10, 'v');
    if (setxattr("file", name.c_str(), value.data(), value.size(), 0) < 0 && errno != EOPNOTSUPP)
      abort();
  }
}

TEST_F(Xattr, AreReadFromTheLower) {
  EXPECT_EQ("value", xattr_of("file", "user.test"));
  EXPECT_EQ("value", xattr_of("dir", "user.test"));
  EXPECT_EQ(Names{"user.test"}, xattrs_of("file"));
  EXPECT_EQ(Names{"user.test"}, xattrs_of("dir"));
  EXPECT_EQ(Names{}, xattrs_of("other"));
}

TEST_F(Xattr, AreSetReplacedAndRemoved) {
  for (const char* path : {"file", "dir", "other", "dir/sub/x"}) {
    ASSERT_OK(t_setxattr(path, "user.new", "one", 3, 0)) << path;
    EXPECT_EQ("one", xattr_of(path, "user.new"));
    ASSERT_OK(t_setxattr(path, "user.new", "three", 5, 0)) << path;
    EXPECT_EQ("three", xattr_of(path, "user.new"));
    ASSERT_OK(t_setxattr(path, "user.new", "", 0, 0)) << path;
    EXPECT_EQ("", xattr_of(path, "user.new"));
    EXPECT_TRUE(xattrs_of(path).contains("user.new"));
    ASSERT_OK(t_removexattr(path, "user.new")) << path;
    EXPECT_FALSE(xattrs_of(path).contains("user.new"));
    EXPECT_ERRNO(ENODATA, t_removexattr(path, "user.new"));
  }
  EXPECT_EQ(Names{"user.test"}, xattrs_of("file"));
}

TEST_F(Xattr, AreRemovedFromALowerFile) {
  ASSERT_OK(t_removexattr("file", "user.test"));
  EXPECT_EQ(Names{}, xattrs_of("file"));
  EXPECT_EQ("errno "s + std::to_string(ENODATA), xattr_of("file", "user.test"));
  append_to("file", "more");
  EXPECT_EQ(Names{}, xattrs_of("file"));
  ASSERT_OK(t_removexattr("dir", "user.test"));
  write_file("dir/new", "");
  EXPECT_EQ(Names{}, xattrs_of("dir"));
}

TEST_F(Xattr, OfTheLowerComeAlong) {
  Names before = xattrs_of("file");
  EXPECT_EQ(6u, before.size());
  ASSERT_OK(t_chmod("file", 0600));
  EXPECT_EQ(before, xattrs_of("file"));
  append_to("file", "more");
  EXPECT_EQ(before, xattrs_of("file"));
  EXPECT_EQ(std::string(40, 'v'), xattr_of("file", "user.more4"));
  ASSERT_OK(t_rename("file", "dir/moved"));
  EXPECT_EQ(before, xattrs_of("dir/moved"));
  EXPECT_EQ("value", xattr_of("dir/moved", "user.test"));
  ASSERT_OK(t_rename("dir", "moved"));
  EXPECT_EQ("value", xattr_of("moved", "user.test"));
  EXPECT_EQ(Names{"user.test"}, xattrs_of("moved"));
}

TEST_F(Xattr, ChangeNothingElse) {
  struct stat before = stat_of("file");
  ASSERT_OK(t_setxattr("file", "user.new", "v", 1, 0));
  struct stat after = stat_of("file");
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(before.st_mode, after.st_mode);
  EXPECT_EQ(before.st_mtim, after.st_mtim);
  EXPECT_EQ(before.st_size, after.st_size);
  EXPECT_EQ("hello lower\n", content_of("file"));
}

TEST_F(Xattr, CreateAndReplaceFlags) {
  EXPECT_ERRNO(EEXIST, t_setxattr("file", "user.test", "x", 1, XATTR_CREATE));
  EXPECT_ERRNO(ENODATA, t_setxattr("file", "user.new", "x", 1, XATTR_REPLACE));
  EXPECT_ERRNO(EINVAL, t_setxattr("file", "user.new", "x", 1, 0x40));
  ASSERT_OK(t_setxattr("file", "user.new", "x", 1, XATTR_CREATE));
  ASSERT_OK(t_setxattr("file", "user.test", "y", 1, XATTR_REPLACE));
  EXPECT_EQ("y", xattr_of("file", "user.test"));
}

TEST_F(Xattr, SizesAndShortBuffers) {
  char value[16];
  for (mode_t mode : {0644, 0600}) {
    ASSERT_OK(t_chmod("file", mode));
    EXPECT_EQ(5, t_getxattr("file", "user.test", nullptr, 0));
    EXPECT_ERRNO(ERANGE, t_getxattr("file", "user.test", value, 4));
    EXPECT_EQ(5, t_getxattr("file", "user.test", value, 5));
    EXPECT_EQ(10, t_listxattr("file", nullptr, 0));
    EXPECT_ERRNO(ERANGE, t_listxattr("file", value, 9));
    EXPECT_EQ(10, t_listxattr("file", value, 10));
    EXPECT_EQ(0, t_listxattr("other", nullptr, 0));
    EXPECT_EQ(0, t_listxattr("other", value, 1));
  }
}

TEST_F(Xattr, AllSpellings) {
  char value[64] = {};
  Fd read_only(t_open("file", O_RDONLY)), dir(t_open("dir", O_RDONLY));
  EXPECT_EQ(5, t_fgetxattr(read_only, "user.test", value, sizeof value));
  EXPECT_EQ(10, t_flistxattr(read_only, value, sizeof value));
  ASSERT_OK(t_fsetxattr(read_only, "user.f", "f", 1, 0));
  EXPECT_EQ("f", xattr_of("file", "user.f"));
  EXPECT_EQ(1, t_fgetxattr(read_only, "user.f", value, sizeof value));
  ASSERT_OK(t_fremovexattr(read_only, "user.test"));
  EXPECT_EQ(Names{"user.f"}, xattrs_of("file"));
  ASSERT_OK(t_fsetxattr(dir, "user.f", "f", 1, 0));
  EXPECT_EQ("f", xattr_of("dir", "user.f"));
  ASSERT_OK(t_lsetxattr("other", "user.l", "l", 1, 0));
  EXPECT_EQ(1, t_lgetxattr("other", "user.l", value, sizeof value));
  EXPECT_EQ(7, t_llistxattr("other", value, sizeof value));
  ASSERT_OK(t_lremovexattr("other", "user.l"));
  EXPECT_EQ(0, t_llistxattr("other", value, sizeof value));
}

TEST_F(Xattr, FollowSymlinksUnlessTold) {
  char value[64];
  ASSERT_OK(t_setxattr("rel", "user.via", "v", 1, 0));
  EXPECT_EQ("v", xattr_of("dir/a", "user.via"));
  EXPECT_EQ(1, t_getxattr("abs", "user.via", value, sizeof value));
  EXPECT_EQ(9, t_listxattr("rel", value, sizeof value));
  EXPECT_EQ(0, t_llistxattr("rel", value, sizeof value));
  EXPECT_ERRNO(EPERM, t_lsetxattr("rel", "user.no", "v", 1, 0));  // no user xattrs on symlinks
  EXPECT_ERRNO(ENODATA, t_lgetxattr("rel", "user.no", value, sizeof value));
  ASSERT_OK(t_removexattr("abs", "user.via"));
  EXPECT_EQ(Names{}, xattrs_of("dir/a"));
}

TEST_F(Xattr, Refuse) {
  char value[64];
  EXPECT_ERRNO(ENODATA, t_getxattr("file", "user.nothing", value, sizeof value));
  EXPECT_ERRNO(EOPNOTSUPP, t_getxattr("file", "nonamespace", value, sizeof value));
  EXPECT_ERRNO(EOPNOTSUPP, t_setxattr("file", "nonamespace", "v", 1, 0));
  EXPECT_ERRNO(ERANGE, t_setxattr("file", "", "v", 1, 0));
  EXPECT_ERRNO(ERANGE, t_setxattr("file", ("user." + std::string(251, 'n')).c_str(), "v", 1, 0));
  EXPECT_ERRNO(ERANGE,
               t_getxattr("file", ("user." + std::string(251, 'n')).c_str(), value, sizeof value));
  EXPECT_ERRNO(E2BIG, t_setxattr("file", "user.large", std::string(65537, 'v').data(), 65537, 0));
  EXPECT_ERRNO(ENOENT, t_getxattr("nothing", "user.test", value, sizeof value));
  EXPECT_ERRNO(ENOENT, t_setxattr("dangling", "user.test", "v", 1, 0));
  EXPECT_ERRNO(ENOTDIR, t_listxattr("file/", value, sizeof value));
  EXPECT_ERRNO(EBADF, t_fgetxattr(-1, "user.test", value, sizeof value));
  EXPECT_ERRNO(EPERM, t_setxattr("fifo", "user.no", "v", 1, 0));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EPERM, t_setxattr("file", "trusted.no", "v", 1, 0));
  EXPECT_ERRNO(ENODATA, t_getxattr("file", "trusted.no", value, sizeof value));
  EXPECT_ERRNO(EACCES, t_setxattr("readonly", "user.no", "v", 1, 0));
  EXPECT_ERRNO(EACCES, t_getxattr("noperm", "user.no", value, sizeof value));
}

TEST_F(Xattr, TheNamesOfOverlaysAreAsFreeAsOthers) {
  ASSERT_OK(t_setxattr("dir", "user.overlay.opaque", "y", 1, 0));
  EXPECT_EQ("y", xattr_of("dir", "user.overlay.opaque"));
  EXPECT_EQ((Names{"user.test", "user.overlay.opaque"}), xattrs_of("dir"));
  EXPECT_EQ("a\n", content_of("dir/a"));  // it means nothing here
  ASSERT_OK(t_setxattr("file", "user.overlay.metacopy", "", 0, 0));
  EXPECT_EQ("hello lower\n", content_of("file"));
  ASSERT_OK(t_setxattr("file", "user.overlay.whiteout", "", 0, 0));
  EXPECT_EQ((Names{"user.test", "user.overlay.metacopy", "user.overlay.whiteout"}),
            xattrs_of("file"));
  ASSERT_OK(t_removexattr("file", "user.overlay.whiteout"));
  EXPECT_EQ((Names{"user.test", "user.overlay.metacopy"}), xattrs_of("file"));
}

TEST_F(Xattr, OursAreNotSeen) {
  append_to("file", "more");
  ASSERT_OK(t_chmod("file", 0400));
  ASSERT_OK(t_chmod("dir", 0500));
  ASSERT_OK(t_chmod("dir", 0755));
  write_file("dir/new", "");
  ASSERT_OK(t_rename("dir", "moved"));
  ASSERT_OK(t_rmdir("emptydir"));
  ASSERT_OK(t_mkdir("emptydir", 0700));
  EXPECT_EQ(Names{"user.test"}, xattrs_of("file"));
  EXPECT_EQ(Names{"user.test"}, xattrs_of("moved"));
  EXPECT_EQ(Names{}, xattrs_of("emptydir"));
  EXPECT_EQ(Names{}, xattrs_of("."));
  EXPECT_EQ(Names{}, xattrs_of("moved/new"));
  char value[256];
  for (const char* name :
       {"user.overlay.origin", "user.overlay.redirect", "user.overlay.opaque",
        "user.overlay.impure", "user.overlay.metacopy", "user.containers.override_stat"}) {
    for (const char* path : {"file", "moved", "emptydir", "."})
      EXPECT_ERRNO(ENODATA, t_getxattr(path, name, value, sizeof value)) << path << " " << name;
  }
}

// An ACL as the kernel takes it: version 2, then (tag, permission, id).
struct AclEntry {
  uint16_t tag, perm;
  uint32_t id;
};
struct Acl {
  uint32_t version = 2;
  AclEntry entries[5] = {{1, 7, ~0u}, {2, 6, 12345}, {4, 5, ~0u}, {16, 7, ~0u}, {32, 4, ~0u}};
};

class AccessControl : public Xattr {
 protected:
  void SetUp() override {
    Xattr::SetUp();
    if (IsSkipped()) return;
    if (missing(Feature::kAcls)) GTEST_SKIP() << "no ACLs on this file system";
  }
};

TEST_F(AccessControl, ShowsInTheMode) {
  Acl acl, back = {};
  ASSERT_OK(t_setxattr("file", "system.posix_acl_access", &acl, sizeof acl, 0));
  EXPECT_EQ(mode_t(S_IFREG | 0774), stat_of("file").st_mode);
  EXPECT_EQ(ssize_t(sizeof acl), t_getxattr("file", "system.posix_acl_access", &back, sizeof back));
  EXPECT_EQ(0, memcmp(&acl, &back, sizeof acl));
  EXPECT_TRUE(xattrs_of("file").contains("system.posix_acl_access"));
  append_to("file", "more");
  EXPECT_EQ(ssize_t(sizeof acl), t_getxattr("file", "system.posix_acl_access", &back, sizeof back));
  ASSERT_OK(t_removexattr("file", "system.posix_acl_access"));
  EXPECT_FALSE(xattrs_of("file").contains("system.posix_acl_access"));
}

TEST_F(AccessControl, ADefaultIsInherited) {
  Acl acl;
  ASSERT_OK(t_setxattr("dir", "system.posix_acl_default", &acl, sizeof acl, 0));
  umask(077);
  write_file("dir/new", "");
  ASSERT_OK(t_mkdir("dir/newdir", 0777));
  EXPECT_TRUE(xattrs_of("dir/new").contains("system.posix_acl_access"));
  EXPECT_TRUE(xattrs_of("dir/newdir").contains("system.posix_acl_default"));
  EXPECT_EQ(mode_t(S_IFREG | 0644), stat_of("dir/new").st_mode);  // entries and mode, not the umask
  EXPECT_ERRNO(EACCES, t_setxattr("file", "system.posix_acl_default", &acl, sizeof acl, 0));
}

PREPARE(AccessControl, OfTheLowerComesAlong) {
  Acl acl;
  if (setxattr("file", "system.posix_acl_access", &acl, sizeof acl, 0) < 0 && errno != EOPNOTSUPP)
    abort();
}

TEST_F(AccessControl, OfTheLowerComesAlong) {
  Acl acl, back = {};
  mode_t before = stat_of("file").st_mode;
  append_to("file", "more");
  EXPECT_EQ(ssize_t(sizeof acl), t_getxattr("file", "system.posix_acl_access", &back, sizeof back));
  EXPECT_EQ(0, memcmp(acl.entries + 1, back.entries + 1, sizeof(AclEntry)));
  EXPECT_EQ(before, stat_of("file").st_mode);
}

}  // namespace
}  // namespace syscalls
