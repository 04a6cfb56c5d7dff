// Names of xattrs: which are ours, and how a program's names are stored.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/format/format.h"

namespace ovl {
namespace {

constexpr XattrPrefix kUser = XattrPrefix::kUser;
constexpr XattrPrefix kTrusted = XattrPrefix::kTrusted;

struct Memory {
  char block[4096];
  Arena arena{block, sizeof block, nullptr, nullptr};
};

// "=" plain, "-" hidden, else the stored name.
std::string to_disk(XattrFormat prefix, const char* name, bool store_security = false) {
  Memory memory;
  CStr out;
  switch (name_to_disk(memory.arena, prefix, name, store_security, &out)) {
    case NameClass::kPlain:
      return "=";
    case NameClass::kHidden:
      return "-";
    case NameClass::kStored:
      EXPECT_EQ(out.c_str()[out.size()], 0);
      return std::string(out.data(), out.size());
  }
  return "?";
}
std::string from_disk(XattrFormat prefix, const char* name) {
  Memory memory;
  CStr out;
  switch (name_from_disk(memory.arena, prefix, name, &out)) {
    case NameClass::kPlain:
      return "=";
    case NameClass::kHidden:
      return "-";
    case NameClass::kStored:
      EXPECT_EQ(out.c_str()[out.size()], 0);
      return std::string(out.data(), out.size());
  }
  return "?";
}

TEST(PrivName, FollowsThePrefixExceptForTheRecordedOwner) {
  EXPECT_STREQ(priv_name(kUser, Priv::kOpaque), "user.overlay.opaque");
  EXPECT_STREQ(priv_name(kTrusted, Priv::kOpaque), "trusted.overlay.opaque");
  EXPECT_STREQ(priv_name(kUser, Priv::kWhiteout), "user.overlay.whiteout");
  EXPECT_STREQ(priv_name(kTrusted, Priv::kMetacopy), "trusted.overlay.metacopy");
  EXPECT_STREQ(priv_name(kUser, Priv::kOverrideStat), "user.containers.override_stat");
  EXPECT_STREQ(priv_name(kTrusted, Priv::kOverrideStat), "user.containers.override_stat");
}

TEST(NameToDisk, Table) {
  struct Case {
    XattrPrefix prefix;
    const char* name;
    bool store_security;
    const char* stored;
  };
  const Case cases[] = {
      {kUser, "user.foo", false, "="},
      {kUser, "user.overlay", false, "="},  // no dot: not below the prefix
      {kUser, "user.overlayer.x", false, "="},
      {kUser, "", false, "="},
      {kUser, "user.overlay.foo", false, "user.overlay.overlay.foo"},
      {kUser, "user.overlay.opaque", false, "user.overlay.overlay.opaque"},
      {kUser, "user.overlay.overlay.foo", false, "user.overlay.overlay.overlay.foo"},
      {kUser, "user.overlay.", false, "user.overlay.overlay."},
      {kUser, "trusted.overlay.opaque", false, "="},
      {kTrusted, "user.overlay.opaque", false, "="},
      {kTrusted, "trusted.overlay.opaque", false, "trusted.overlay.overlay.opaque"},
      {kUser, "user.containers.override_stat", false, "-"},
      {kTrusted, "user.containers.override_stat", false, "-"},
      {kUser, "user.containers.override_anything", false, "-"},
      {kUser, "user.containers.override_security.capability", false, "-"},
      {kUser, "user.containers.other", false, "="},
      {kUser, "user.fuseoverlayfs.opaque", false, "-"},
      {kTrusted, "user.fuseoverlayfs.opaque", false, "-"},
      {kUser, "user.fuseoverlayfs.origin", false, "="},
      {kUser, "security.capability", false, "="},
      {kUser, "security.capability", true, "user.containers.override_security.capability"},
      {kTrusted, "security.selinux", true, "user.containers.override_security.selinux"},
      {kUser, "security", true, "="},
      {kUser, "system.posix_acl_access", true, "="},
  };
  for (const Case& c : cases)
    EXPECT_EQ(to_disk(c.prefix, c.name, c.store_security), c.stored) << c.name;
}

TEST(NameFromDisk, Table) {
  struct Case {
    XattrPrefix prefix;
    const char* name;
    const char* shown;
  };
  const Case cases[] = {
      {kUser, "user.foo", "="},
      {kUser, "user.overlay.opaque", "-"},
      {kUser, "user.overlay.whiteout", "-"},
      {kUser, "user.overlay.of_a_newer_kernel", "-"},
      {kUser, "user.overlay.", "-"},
      {kUser, "user.overlay.overlay", "-"},  // no dot: not an escaped name
      {kUser, "user.overlay.overlay.foo", "user.overlay.foo"},
      {kUser, "user.overlay.overlay.opaque", "user.overlay.opaque"},
      {kUser, "user.overlay.overlay.overlay.foo", "user.overlay.overlay.foo"},
      {kUser, "user.overlay.overlay.", "user.overlay."},
      {kUser, "trusted.overlay.opaque", "="},
      {kTrusted, "trusted.overlay.opaque", "-"},
      {kTrusted, "trusted.overlay.overlay.opaque", "trusted.overlay.opaque"},
      {kTrusted, "user.overlay.opaque", "="},
      {kUser, "user.containers.override_stat", "-"},
      {kUser, "user.containers.override_", "-"},
      {kUser, "user.containers.override_user.foo", "-"},
      {kUser, "user.containers.override_security.capability", "security.capability"},
      {kTrusted, "user.containers.override_security.capability", "security.capability"},
      {kUser, "user.containers.other", "="},
      {kUser, "user.fuseoverlayfs.opaque", "-"},
      {kUser, "user.fuseoverlayfs.origin", "="},
      {kUser, "security.capability", "="},
  };
  for (const Case& c : cases) EXPECT_EQ(from_disk(c.prefix, c.name), c.shown) << c.name;
}

// A layer of an overlay that lies in one of the same prefix, and that in one of the other.
const XattrFormat kInner = XattrFormat(kTrusted).of_layer_inside(kUser).of_layer_inside(kUser);

TEST(NestedNames, OwnMarksAreEscapedOncePerOverlayAroundOfThatPrefix) {
  EXPECT_STREQ(priv_name(kInner, Priv::kOpaque), "user.overlay.overlay.opaque");
  EXPECT_STREQ(priv_name(kInner, Priv::kOverrideStat), "user.containers.override_stat");
  const XattrFormat other = kInner.of_layer_inside(kTrusted);
  EXPECT_STREQ(priv_name(other, Priv::kRedirect), "trusted.overlay.overlay.redirect");
  EXPECT_STREQ(priv_name(kInner.seen_through(kUser), Priv::kOpaque), "user.overlay.overlay.opaque");
}

TEST(NestedNames, MarksOfOtherLevelsAreNoMarks) {
  const char list[] =
      "user.overlay.opaque\0user.overlay.overlay.redirect\0"
      "user.overlay.overlay.overlay.metacopy\0trusted.overlay.origin\0"
      "user.containers.override_stat";
  const PrivSet found = parse_xattr_list(kInner, list, sizeof list);
  EXPECT_TRUE(found.has(Priv::kRedirect));
  EXPECT_TRUE(found.has(Priv::kOverrideStat));
  for (Priv p : {Priv::kOpaque, Priv::kMetacopy, Priv::kOrigin}) EXPECT_FALSE(found.has(p));
}

TEST(NestedNames, ProgramsNamesAreEscapedOncePerOverlay) {
  EXPECT_EQ(to_disk(kInner, "user.overlay.x", false), "user.overlay.overlay.overlay.x");
  EXPECT_EQ(to_disk(kInner, "trusted.overlay.x", false), "trusted.overlay.overlay.x");
  EXPECT_EQ(from_disk(kInner, "user.overlay.overlay.overlay.x"), "user.overlay.x");
  EXPECT_EQ(from_disk(kInner, "trusted.overlay.overlay.x"), "trusted.overlay.x");
  for (const char* hidden : {"user.overlay.x", "user.overlay.overlay.x", "trusted.overlay.x"})
    EXPECT_EQ(from_disk(kInner, hidden), "-") << hidden;
}

TEST(NameFromDisk, GivesBackEveryNameThatAProgramCanStore) {
  for (XattrPrefix prefix : {kUser, kTrusted})
    for (const char* name : {"user.overlay.x", "trusted.overlay.x", "user.overlay.overlay.x",
                             "user.overlay.overlay.overlay.opaque", "user.y", "security.z"}) {
      const std::string stored = to_disk(prefix, name, true);
      EXPECT_EQ(stored == "=" ? name : from_disk(prefix, stored.c_str()), std::string(name));
    }
}

TEST(NameToDisk, ReportsMissingMemoryAsNull) {
  Arena none(nullptr, 0, nullptr, nullptr);
  CStr out;
  EXPECT_EQ(name_to_disk(none, kUser, "user.overlay.x", false, &out), NameClass::kStored);
  EXPECT_EQ(out.data(), nullptr);
}

PrivSet parse(XattrPrefix prefix, const std::string& list) {
  return parse_xattr_list(prefix, list.data(), list.size());
}

TEST(ParseXattrList, FindsThePrivateNamesOfThePrefix) {
  const std::string list(
      "user.foo\0user.overlay.origin\0security.selinux\0user.overlay.metacopy\0"
      "user.containers.override_stat\0trusted.overlay.opaque\0",
      9 + 20 + 17 + 22 + 30 + 23);
  PrivSet user = parse(kUser, list);
  EXPECT_TRUE(user.has(Priv::kOrigin));
  EXPECT_TRUE(user.has(Priv::kMetacopy));
  EXPECT_TRUE(user.has(Priv::kOverrideStat));
  EXPECT_FALSE(user.has(Priv::kOpaque));
  PrivSet trusted = parse(kTrusted, list);
  EXPECT_FALSE(trusted.has(Priv::kOrigin));
  EXPECT_TRUE(trusted.has(Priv::kOpaque));
  EXPECT_TRUE(trusted.has(Priv::kOverrideStat));
}

TEST(ParseXattrList, FindsEachName) {
  for (XattrPrefix prefix : {kUser, kTrusted})
    for (uint32_t i = 0; i < static_cast<uint32_t>(Priv::kCount); i++) {
      const Priv p = static_cast<Priv>(i);
      const std::string list = std::string(priv_name(prefix, p)) + '\0';
      PrivSet found = parse(prefix, list);
      EXPECT_TRUE(found.has(p)) << list;
      found.remove(p);
      EXPECT_TRUE(found.empty()) << list;
    }
}

TEST(ParseXattrList, TakesNothingElseForOurs) {
  for (const char* name : {"", "user.overlay.", "user.overlay.opaquer", "user.overlay.opaqu",
                           "user.overlay.overlay.opaque", "user.containers.override_statistics",
                           "xuser.overlay.opaque"})
    EXPECT_TRUE(parse(kUser, std::string(name) + '\0').empty()) << name;
  EXPECT_TRUE(parse_xattr_list(kUser, nullptr, 0).empty());
}

TEST(ParseXattrList, EndsAtTheSizeWithoutALastNul) {
  EXPECT_TRUE(parse(kUser, "user.overlay.opaque").has(Priv::kOpaque));
  const std::string longer = "user.overlay.opaque";
  EXPECT_TRUE(parse_xattr_list(kUser, longer.data(), longer.size() - 1).empty());
}

}  // namespace
}  // namespace ovl
