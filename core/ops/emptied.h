// Emptying a file that has its data still to come.
#pragma once

#include "core/names/place.h"

namespace ovl {

struct Emptied {
  UniqueFd file;  // O_PATH
  bool here;      // false: somebody else was faster, perhaps with data
};

// A metacopy loses what it was to get. kLookAgain: another object has the name.
Result<Emptied> empty_metacopy(Op& op, const Node& node);

}  // namespace ovl
