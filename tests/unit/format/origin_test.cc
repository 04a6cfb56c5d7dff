// File handles in origin, upper and index names.
#include <gtest/gtest.h>

#include <string>

#include "core/format/format.h"

namespace ovl {
namespace {

using std::string_literals::operator""s;

// As ext4 has it: 29 bytes, inode 0x01020304, generation 5.
const std::string kExt4 =
    "\x00\xfb\x1d\x00\x01"s + "0123456789abcdef"s + "\x04\x03\x02\x01\x05\x00\x00\x00"s;

std::string with(std::string bytes, size_t at, unsigned char value) {
  bytes[at] = static_cast<char>(value);
  return bytes;
}
int error_of(const std::string& bytes) {
  FileHandle handle;
  return decode_origin(bytes.data(), bytes.size(), &handle).error();
}
bool unknown(const std::string& bytes) {
  FileHandle handle;
  Result<OriginState> r = decode_origin(bytes.data(), bytes.size(), &handle);
  return r.ok() && r.value() == OriginState::kUnknown;
}

TEST(DecodeOrigin, ReadsTheHandleThatTheKernelWrites) {
  FileHandle handle;
  Result<OriginState> r = decode_origin(kExt4.data(), kExt4.size(), &handle);
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r.value(), OriginState::kKnown);
  EXPECT_EQ(handle.type, 1);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(handle.uuid), 16), "0123456789abcdef");
  EXPECT_FALSE(handle.path_upper);
  EXPECT_EQ(handle.fid_size, 8);
  EXPECT_EQ(inode_of(handle), 0x01020304u);
}

TEST(DecodeOrigin, KnowsTheFlags) {
  FileHandle handle;
  const std::string upper = with(kExt4, 3, 4);
  ASSERT_EQ(decode_origin(upper.data(), upper.size(), &handle).value(), OriginState::kKnown);
  EXPECT_TRUE(handle.path_upper);
  const std::string any_endian = with(kExt4, 3, 2 | 1);
  EXPECT_EQ(decode_origin(any_endian.data(), any_endian.size(), &handle).value(),
            OriginState::kKnown);
}

TEST(DecodeOrigin, WhatCannotBeReadIsUnknown) {
  EXPECT_TRUE(unknown(""));
  EXPECT_TRUE(unknown(with(kExt4, 0, 1)));  // a newer version
  EXPECT_TRUE(unknown(with(kExt4, 3, 8)));  // a flag that nobody knows
  EXPECT_TRUE(unknown(with(kExt4, 3, 0x80)));
  EXPECT_TRUE(unknown(with(kExt4, 3, 1)));  // of a machine with the other byte order
  EXPECT_TRUE(unknown(with(kExt4, 2, 200) + std::string(200, 'f')));  // longer than handles are
}

TEST(DecodeOrigin, WhatIsNoHandleIsRefused) {
  EXPECT_EQ(error_of(with(kExt4, 1, 0xfa)), EINVAL);  // magic
  EXPECT_EQ(error_of(with(kExt4, 2, 30)), EINVAL);    // longer than the value
  EXPECT_EQ(error_of(with(kExt4, 2, 20)), EINVAL);    // shorter than its own head
  EXPECT_EQ(error_of(with(kExt4, 2, 0)), EINVAL);
  for (size_t n = 1; n < kExt4.size(); n++) EXPECT_EQ(error_of(kExt4.substr(0, n)), EINVAL) << n;
}

TEST(DecodeOrigin, TakesTheLengthFromTheHead) {
  FileHandle handle;
  const std::string more = kExt4 + "tail";
  ASSERT_EQ(decode_origin(more.data(), more.size(), &handle).value(), OriginState::kKnown);
  EXPECT_EQ(handle.fid_size, 8);
  const std::string bare = with(kExt4.substr(0, 21), 2, 21);
  ASSERT_EQ(decode_origin(bare.data(), bare.size(), &handle).value(), OriginState::kKnown);
  EXPECT_EQ(handle.fid_size, 0);
  EXPECT_EQ(inode_of(handle), 0u);
}

TEST(EncodeOrigin, IsReadBackTheSame) {
  FileHandle handle{};
  ASSERT_TRUE(decode_origin(kExt4.data(), kExt4.size(), &handle).ok());
  char out[kFileHandleMax];
  ASSERT_EQ(encode_origin(handle, out), kExt4.size());
  EXPECT_EQ(std::string(out, kExt4.size()), kExt4);
  handle.path_upper = true;
  handle.fid_size = 128;
  memset(handle.fid, 'z', sizeof handle.fid);
  ASSERT_EQ(encode_origin(handle, out), kFileHandleMax);
  FileHandle back{};
  ASSERT_EQ(decode_origin(out, kFileHandleMax, &back).value(), OriginState::kKnown);
  EXPECT_TRUE(back.path_upper);
  EXPECT_EQ(memcmp(back.fid, handle.fid, sizeof back.fid), 0);
  handle.fid_size = 255;  // more than there is room for
  EXPECT_EQ(encode_origin(handle, out), kFileHandleMax);
}

TEST(InodeOf, Table) {
  struct Case {
    uint8_t type;
    std::string fid;
    uint64_t ino;
  };
  const std::string ino64 = "\x08\x07\x06\x05\x04\x03\x02\x01"s;
  const Case cases[] = {
      {0x01, ino64, 0x05060708},
      {0x01, "gen0"s + ino64, 0x0102030405060708},  // tmpfs
      {0x01, ino64 + ino64, 0},
      {0x02, ino64 + ino64, 0x05060708},
      {0x02, ino64, 0},
      {0x81, ino64 + "gen0", 0x0102030405060708},
      {0x82, ino64 + "gen0" + ino64 + "gen1", 0x0102030405060708},
      {0x4d, ino64 + ino64 + "gen0", 0x0102030405060708},
      {0x4e, ino64 + ino64 + "gen0" + ino64 + "gen1", 0x0102030405060708},
      {0x4d, ino64, 0},
      {0xfb, ino64 + ino64, 0},
      {0x00, "", 0},
  };
  for (const Case& c : cases) {
    FileHandle handle{};
    handle.type = c.type;
    handle.fid_size = static_cast<uint8_t>(c.fid.size());
    memcpy(handle.fid, c.fid.data(), c.fid.size());
    EXPECT_EQ(inode_of(handle), c.ino) << int{c.type} << " " << c.fid.size();
  }
}

TEST(IndexName, IsTheOriginInHexadecimal) {
  const unsigned char origin[] = {0x00, 0xfb, 0x1d, 0x9a};
  char name[8];
  encode_index_name(origin, sizeof origin, name);
  EXPECT_EQ(std::string(name, sizeof name), "00fb1d9a");
}

}  // namespace
}  // namespace ovl
