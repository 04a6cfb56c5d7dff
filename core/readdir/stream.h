// Directory entries in the form that getdents64(2) gives to programs.
#pragma once

#include "core/readdir/judge.h"
#include "core/readdir/readdir.h"
#include "core/sys/kernel_abi.h"

namespace ovl {

// Entries of a listing from the first with position >= `from`, as many as fit into out[room];
// *next: where the listing goes on. 0: at the end. EINVAL: not even one fits.
Result<size_t> fill_from_listing(const MergedListing& listing, uint64_t from, char* out,
                                 size_t room, uint64_t* next);

// What a real descriptor on layer `index` of `dir` says next, filtered, into out[room]; the
// descriptor's offset moves on. Names of lower layers, and what upper ones do to this layer's, are
// not asked for. 0: at the end.
Result<size_t> fill_from_layer(Op& op, const Node& dir, uint32_t index, int fd, char* out,
                               size_t room);

// Positions of a merged listing become short ones (position.h).
void to_short_positions(char* records, size_t size);

// getdents(2)'s older form in the same space: the type moves behind the name.
void to_old_form(char* records, size_t size);

}  // namespace ovl
