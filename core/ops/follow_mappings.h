// Mappings follow their file, as descriptors do (follow.h), where the program can't tell the
// difference: shared ones, which nothing was written to, in a process whose memory nobody else
// changes meanwhile. Kernel counterpart: none; what was mapped through an overlay before a copy-up
// stays the lower's.
#pragma once

#include "core/caller/op.h"

namespace ovl {

// Best effort: what can't follow stays as it is. Requires: signals are blocked.
void follow_mappings(Op& op);

}  // namespace ovl
