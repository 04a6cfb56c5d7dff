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

}  // namespace ovl
