// Values of opaque, redirect, metacopy, nlink.
#include <gtest/gtest.h>

#include <string>

#include "core/format/format.h"

namespace ovl {
namespace {

TEST(DecodeOpaque, Table) {
  EXPECT_EQ(decode_opaque("y", 1), Opaque::kOpaque);
  EXPECT_EQ(decode_opaque("x", 1), Opaque::kHasXattrWhiteouts);
  for (const std::string value : {"", "n", "Y", "yy", "y\n", "xy"})
    EXPECT_EQ(decode_opaque(value.data(), value.size()), Opaque::kNo) << value;
}

TEST(CheckRedirect, Table) {
  const std::string good[] = {
      "name",     "/a", "/a/b", "/a b/.c/..d/e..", "...", ".x", std::string(300, 'n'),
      "\xff\x01", "/\n"};
  for (const std::string& value : good)
    EXPECT_TRUE(check_redirect(Str(value.data(), value.size())).ok()) << value;
  const std::string bad[] = {"",
                             "/",
                             "//",
                             "/a/",
                             "//a",
                             "/a//b",
                             "a/b",
                             "a/",
                             ".",
                             "..",
                             "/..",
                             "/.",
                             "/a/..",
                             "/../a",
                             "/a/./b",
                             "/a/../b",
                             std::string("a\0b", 3),
                             std::string("/a\0", 3),
                             std::string("\0", 1)};
  for (const std::string& value : bad)
    EXPECT_EQ(check_redirect(Str(value.data(), value.size())).error(), EINVAL) << value;
}

TEST(DecodeMetacopy, Table) {
  struct Case {
    std::string value;
    int error;
  };
  const std::string digest32(32, 'd'), digest64(64, 'd');
  const Case cases[] = {
      {"", 0},
      {std::string("\0\4\0\0", 4), 0},
      {std::string("\0\x24\0\1", 4) + digest32, 0},
      {std::string("\0\x44\0\2", 4) + digest64, 0},
      {std::string("\0", 1), EIO},
      {std::string("\0\3\0", 3), EIO},
      {std::string("\1\4\0\0", 4), EIO},    // a newer version
      {std::string("\0\5\0\0", 4), EIO},    // longer than it is
      {std::string("\0\4\0\0\0", 5), EIO},  // shorter than it is
      {std::string("\0\x45\0\2", 4) + digest64 + "d", EIO},
  };
  for (const Case& c : cases)
    EXPECT_EQ(decode_metacopy(c.value.data(), c.value.size()).error(), c.error)
        << testing::PrintToString(c.value);
}

TEST(DecodeNlink, Table) {
  struct Case {
    const char* value;
    uint32_t nlink;
  };
  // The upper has 3 links, the lower 7.
  const Case good[] = {{"U+0", 3},   {"L+0", 7},  {"L-1", 6}, {"U-2", 1},
                       {"U+10", 13}, {"L-06", 1}, {"U-0", 3}, {"U+2147483647", 2147483650u}};
  for (const Case& c : good) {
    Result<uint32_t> r = decode_nlink(c.value, 3, 7);
    EXPECT_TRUE(r.ok()) << c.value;
    EXPECT_EQ(r.value(), c.nlink) << c.value;
  }
  for (const char* value :
       {"", "U", "U+", "L-", "+1", "X+1", "u+1", "U1", "U 1", "U+1x", "U+ 1", "U++1", "U+-1",
        "U+1\n", "U-3", "L-7", "L-8", "U+2147483648", "U+99999999999999999999999"})
    EXPECT_EQ(decode_nlink(value, 3, 7).error(), EIO) << value;
}

TEST(EncodeNlink, IsDecoded) {
  char text[kNlinkMax];
  const auto encoded = [&](NlinkBase base, uint32_t nlink, uint32_t real) {
    return std::string(text, encode_nlink(base, nlink, real, text));
  };
  EXPECT_EQ(encoded(NlinkBase::kUpper, 3, 1), "U+2");
  EXPECT_EQ(encoded(NlinkBase::kUpper, 3, 3), "U+0");
  EXPECT_EQ(encoded(NlinkBase::kUpper, 3, 13), "U-10");
  EXPECT_EQ(encoded(NlinkBase::kLower, 6, 7), "L-1");
  EXPECT_EQ(encoded(NlinkBase::kLower, 1, UINT32_MAX), "L-4294967294");
  for (const uint32_t nlink : {1u, 2u, 100u})
    for (const uint32_t real : {1u, 2u, 50u})
      EXPECT_EQ(decode_nlink(Str(text, encode_nlink(NlinkBase::kUpper, nlink, real, text)), real, 0)
                    .value(),
                nlink);
}

}  // namespace
}  // namespace ovl
