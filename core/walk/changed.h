// What opening something by its real path says of the time since its name was looked up.
#pragma once

#include "core/walk/node.h"

namespace ovl {

// Does this error of opening `real`, the node's or its data's, come from what happened since: the
// name is gone, or another object has it, or had it? ENXIO, EACCES: a whiteout, which only root may
// try to open.
bool has_changed(const Node& node, CStr real, long error);

// Is the upper's object that was looked up still there by its name? Requires: node.in_upper().
bool still_stands(const Node& node);

}  // namespace ovl
