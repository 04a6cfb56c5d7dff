// user.containers.override_stat, as podman and fuse-overlayfs write it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "core/format/format.h"

namespace ovl {
namespace {

std::string encoded(const OverrideStat& stat) {
  char out[kOverrideStatMax];
  const size_t n = encode_override_stat(stat, out);
  EXPECT_LE(n, sizeof out);
  return std::string(out, n);
}

TEST(OverrideStat, IsReadAndWrittenAsTheOtherToolsDo) {
  struct Case {
    const char* text;
    OverrideStat stat;
  };
  const Case cases[] = {
      {"1000:1011:0644:file", {1000, 1011, S_IFREG | 0644, true, 0, 0}},
      {"0:0:4755:file", {0, 0, S_IFREG | 04755, true, 0, 0}},
      {"0:0:0000:file", {0, 0, S_IFREG, true, 0, 0}},
      {"0:50:2775:dir", {0, 50, S_IFDIR | 02775, true, 0, 0}},
      {"1:2:0777:symlink", {1, 2, S_IFLNK | 0777, true, 0, 0}},
      {"1:2:0600:pipe", {1, 2, S_IFIFO | 0600, true, 0, 0}},
      {"1:2:0755:socket", {1, 2, S_IFSOCK | 0755, true, 0, 0}},
      {"0:6:0660:block-8-0", {0, 6, S_IFBLK | 0660, true, 8, 0}},
      {"0:0:0666:char-1-3", {0, 0, S_IFCHR | 0666, true, 1, 3}},
      {"4294967294:4294967294:7777:char-4294967295-4294967295",
       {4294967294u, 4294967294u, S_IFCHR | 07777, true, 4294967295u, 4294967295u}},
  };
  for (const Case& c : cases) {
    OverrideStat got{};
    ASSERT_TRUE(decode_override_stat(c.text, &got).ok()) << c.text;
    EXPECT_EQ(got.uid, c.stat.uid) << c.text;
    EXPECT_EQ(got.gid, c.stat.gid) << c.text;
    EXPECT_EQ(got.mode, c.stat.mode) << c.text;
    EXPECT_TRUE(got.has_type) << c.text;
    EXPECT_EQ(got.rdev_major, c.stat.rdev_major) << c.text;
    EXPECT_EQ(got.rdev_minor, c.stat.rdev_minor) << c.text;
    EXPECT_EQ(encoded(c.stat), c.text);
  }
}

TEST(OverrideStat, OtherSpellingsAreAccepted) {
  struct Case {
    const char* text;
    mode_t mode;
    bool has_type;
    uint32_t major, minor;
  };
  const Case cases[] = {
      {"0:0:644", 0644, false, 0, 0},
      {"00:0:100644", 0644, false, 0, 0},  // type bits in the mode are not the mode's
      {"0:0:0", 0, false, 0, 0},
      {"0:0:660:block8:0", S_IFBLK | 0660, true, 8, 0},
      {"0:0:660:char1:3", S_IFCHR | 0660, true, 1, 3},
  };
  for (const Case& c : cases) {
    OverrideStat got{};
    ASSERT_TRUE(decode_override_stat(c.text, &got).ok()) << c.text;
    EXPECT_EQ(got.mode, c.mode) << c.text;
    EXPECT_EQ(got.has_type, c.has_type) << c.text;
    EXPECT_EQ(got.rdev_major, c.major) << c.text;
    EXPECT_EQ(got.rdev_minor, c.minor) << c.text;
  }
}

TEST(OverrideStat, WhatIsMalformedIsRefusedAndLeavesTheOutputAlone) {
  for (const char* text : {"",
                           ":",
                           "0",
                           "0:",
                           "0:0",
                           "0:0:",
                           "0:0::file",
                           ":0:0",
                           "0:0:8",
                           "0:0:64x",
                           "-1:0:644",
                           "0:-1:644",
                           "+0:0:644",
                           " 0:0:644",
                           "0:0:644 ",
                           "0:0:644:",
                           "0:0:644:File",
                           "0:0:644:files",
                           "0:0:644:file:",
                           "0:0:644:block",
                           "0:0:644:block-",
                           "0:0:644:block-8",
                           "0:0:644:block-8-",
                           "0:0:644:block-8:0",
                           "0:0:644:block8-0",
                           "0:0:644:block-8-0-",
                           "0:0:644:char-1-3x",
                           "0:0:644:file-1-2",
                           "4294967295:0:644",
                           "4294967296:0:644",
                           "99999999999999999999:0:644",
                           "0:0:77777777777777777777",
                           "0:0:644:block-4294967296-0"}) {
    OverrideStat got{1, 2, 3, false, 4, 5};
    EXPECT_EQ(decode_override_stat(text, &got).error(), EINVAL) << text;
    EXPECT_EQ(got.uid, 1u) << text;
  }
  OverrideStat got{};
  EXPECT_EQ(decode_override_stat(Str("0:0:644\0:file", 13), &got).error(), EINVAL);
}

}  // namespace
}  // namespace ovl
