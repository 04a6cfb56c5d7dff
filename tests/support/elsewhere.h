// A caller whose descriptors are not those of this process, but for which everything else is as for
// this very task.
#pragma once

#include "core/caller/caller.h"

namespace ovl::testing {

Caller& elsewhere();

}  // namespace ovl::testing
