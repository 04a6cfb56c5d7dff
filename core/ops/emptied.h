// Emptying a file that has its data still to come.
#pragma once

#include "core/names/place.h"

namespace ovl {

// A metacopy loses what it was to get. Gives an O_PATH descriptor on it, which may have data all
// the same by then, of somebody who was faster. kLookAgain: another object has the name.
Result<UniqueFd> empty_metacopy(Op& op, const Node& node);

// Does an error of opening `real` come from what happened since the node was looked up: the name is
// gone, or another object has it by now? ENXIO: a whiteout.
bool has_changed(const Node& node, CStr real, long error);

}  // namespace ovl
