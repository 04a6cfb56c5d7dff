// Which lower object a node's own object is the copy of. Kernel counterpart: ovl_check_origin_fh().
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

// Is this lower object (real path) what the node shows, or what its object in the upper was copied
// from? Errors: what keeps from knowing it.
Result<bool> is_copied_from(Op& op, const Node& node, CStr lower);

// A hard link that a copy-up breaks gets no origin: for descriptors on the lower's file the session
// remembers which inode `copy` (a real path) is. Where it has no room, they stay where they are.
void note_broken_link(Op& op, CStr lower, CStr copy);

}  // namespace ovl
