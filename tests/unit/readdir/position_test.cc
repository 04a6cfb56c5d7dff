// Positions of merged listings.
#include "core/readdir/position.h"

#include <gtest/gtest.h>

#include <random>

#include "core/readdir/readdir.h"

namespace ovl {
namespace {

TEST(Position, OrdersAreSpreadOverTheirRange) {
  uint32_t low = UINT32_MAX, high = 0;
  for (int i = 0; i < 10000; i++) {
    const std::string name = "n" + std::to_string(i);
    const uint32_t order = name_order(Str(name.data(), name.size()));
    EXPECT_GE(order, kFirstOrder);
    EXPECT_LT(order, kLastOrder);
    low = std::min(low, order);
    high = std::max(high, order);
  }
  EXPECT_LT(low, kLastOrder / 100);
  EXPECT_GT(high, kLastOrder / 100 * 99);
}

TEST(Position, AscendsWithTheOrderAndFitsAnyOffset) {
  EXPECT_EQ(position_at(0), 0u);
  uint64_t last = 0;
  for (uint64_t order = 1; order <= kLastOrder + (1 << 16); order += 99991) {
    const uint64_t position = position_at(static_cast<uint32_t>(order));
    EXPECT_GT(position, last);
    EXPECT_LT(position, kEndPosition);
    EXPECT_TRUE(is_listing_position(position));
    last = position;
  }
  EXPECT_LT(kEndPosition, uint64_t{2196875759616});  // the largest file of ext2
  EXPECT_TRUE(is_listing_position(kEndPosition));
}

TEST(Position, IsToldFromAFileSystemsOwn) {
  // Counters, as tmpfs, xfs and btrfs have them; ends of directories.
  for (uint64_t position = 0; position < 100000; position++)
    EXPECT_FALSE(is_listing_position(position));
  for (uint64_t position :
       {uint64_t{INT32_MAX}, uint64_t{UINT32_MAX}, uint64_t{INT64_MAX}, uint64_t{1} << 40})
    EXPECT_FALSE(is_listing_position(position)) << position;
  // Hashes of 63 bits, as ext4 has them.
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000000; i++) EXPECT_FALSE(is_listing_position(random() >> 1));
}

TEST(Position, ShortOnesHave31BitsAndLeadToTheirGroup) {
  for (uint32_t order : {kDotDotOrder, kFirstOrder, 1023u, 1024u, 0x12345678u, kLastOrder}) {
    const uint64_t position = position_at(order), narrow = short_position(position);
    EXPECT_LE(narrow, uint64_t{INT32_MAX}) << order;
    EXPECT_LE(long_position(narrow), position) << order;
    EXPECT_GT(long_position(narrow) + (uint64_t{1024} << 8), position) << order;
    EXPECT_EQ(short_position(long_position(narrow)), narrow) << order;
  }
  // The dots are never told twice, and the end stays the end.
  EXPECT_EQ(long_position(short_position(position_at(kDotDotOrder))), position_at(kDotDotOrder));
  EXPECT_EQ(long_position(short_position(position_at(kFirstOrder))), position_at(kFirstOrder));
  EXPECT_EQ(long_position(short_position(kEndPosition)), kEndPosition);
}

TEST(Position, WhatIsNoListingsStaysWhatItIs) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{77}, uint64_t{0x3fffffff},
                                uint64_t{0x123456789abcdef}}) {
    EXPECT_EQ(short_position(offset), offset);
    EXPECT_EQ(long_position(offset), offset);
  }
}

}  // namespace
}  // namespace ovl
