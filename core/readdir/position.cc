// See position.h.
#include "core/readdir/position.h"

#include "core/readdir/readdir.h"

namespace ovl {
namespace {

constexpr uint64_t kMark = uint64_t{1} << 40;
constexpr unsigned kCheckBits = 8;

uint64_t mix(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdu;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53u;
  return h ^ (h >> 33);
}

uint64_t check_of(uint32_t order) { return mix(order) >> (64 - kCheckBits); }

// Short ones: a bit that is set, 22 bits of order, 8 that check them.
constexpr uint64_t kShortMark = uint64_t{1} << 30;
constexpr unsigned kGroupShift = 10;
constexpr uint32_t kDotDotGroup = 0x3fffff;  // above all others
static_assert((kEndPosition >> (kCheckBits + kGroupShift) & kDotDotGroup) < kDotDotGroup);

uint64_t short_of(uint32_t group) {
  return kShortMark | (uint64_t{group} << kCheckBits) | check_of(group);
}

}  // namespace

uint32_t name_order(Str name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  // The high half, scaled to the range: unlike %, it keeps every value about equally likely.
  const uint64_t hash = mix(h) >> 32;
  return kFirstOrder + static_cast<uint32_t>((hash * (kLastOrder - kFirstOrder)) >> 32);
}

uint64_t position_at(uint32_t order) {
  if (order == 0) return 0;
  return kMark | (uint64_t{order} << kCheckBits) | check_of(order);
}

bool is_listing_position(uint64_t position) {
  if (position == kEndPosition) return true;
  if (position >> 40 != 1) return false;
  const uint32_t order = static_cast<uint32_t>(position >> kCheckBits);
  return order != 0 && position_at(order) == position;
}

uint64_t short_position(uint64_t position) {
  if (!is_listing_position(position)) return position;
  const auto order = static_cast<uint32_t>(position >> kCheckBits);
  return short_of(order == kDotDotOrder ? kDotDotGroup : order >> kGroupShift);
}

uint64_t long_position(uint64_t position) {
  const uint32_t group = static_cast<uint32_t>(position >> kCheckBits) & kDotDotGroup;
  if (position != short_of(group)) return position;
  if (group == kDotDotGroup) return position_at(kDotDotOrder);
  if (group == (kEndPosition >> (kCheckBits + kGroupShift) & kDotDotGroup)) return kEndPosition;
  return position_at(group == 0 ? kFirstOrder : group << kGroupShift);
}

}  // namespace ovl
