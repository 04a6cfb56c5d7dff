// Listings that a getdents64(2) loop comes back to. One snapshot of a merged directory is many
// chunks; without this each chunk would read the directory anew. Only ever a cache: when it is
// busy, full, or inherited half-done through fork, callers load afresh and get the same entries,
// since positions depend on names alone.
#pragma once

#include <stdint.h>

#include "core/readdir/readdir.h"

namespace ovl {

struct ListingKey {
  uint64_t dev, ino;  // of the real directory that the descriptor is on
  uint64_t place;     // hash of the overlay and the virtual path
  uint64_t position;  // where the listing goes on: another descriptor's loop is elsewhere
  uint64_t caller;    // Caller::identity()
};
ListingKey listing_key(const Caller& caller, const Node& dir, const StatX& real, uint64_t position);

// Takes the listing out of the cache; another loop's of the same directory will do where it shows
// what there is now: after a seek, or where there are more loops than the cache has room for.
// False: none.
bool take_listing(const ListingKey& key, const Node& dir, MergedListing* out);
// Leaves it for the next call; drops an older one for it.
void keep_listing(const ListingKey& key, MergedListing* listing);

}  // namespace ovl
