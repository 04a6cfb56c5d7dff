// Positions of merged listings; see readdir.h.
#pragma once

#include <stdint.h>

#include "core/base/str.h"

namespace ovl {

// The order of entries: "." is 0, ".." is 1, names follow by their hash.
constexpr uint32_t kDotDotOrder = 1;
constexpr uint32_t kFirstOrder = 2;
// Above it there is room for those that a collision pushes up.
constexpr uint32_t kLastOrder = 0xf0000000;

uint32_t name_order(Str name);
uint64_t position_at(uint32_t order);

// 32-bit programs have room for 31 bits (their libc fails on more): a position is rounded down to
// one that many names may share, and in a very large directory do; a listing that is continued
// there tells them again. Reading straight on does not go by them, but by the descriptor's own
// offset. What is no position of a merged listing stays what it is, both ways.
uint64_t short_position(uint64_t position);
// The listing position that a short one stands for. A file system's own offset is taken for one
// once in 512.
uint64_t long_position(uint64_t position);

}  // namespace ovl
