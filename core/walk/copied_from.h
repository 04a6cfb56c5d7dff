// Which lower object a node's own object is the copy of. Kernel counterpart: ovl_check_origin_fh().
#pragma once

#include "core/walk/node.h"

namespace ovl {

// Is this lower object (real path) what the node shows, or what its object in the upper was copied
// from?
bool is_copied_from(const Node& node, CStr lower);

}  // namespace ovl
