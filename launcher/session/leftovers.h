// What interrupted operations leave in a workdir.
#pragma once

#include <string>

namespace ovl {

// Removes the temporaries. Requires: the upper is nobody else's. Throws Failure. Kernel
// counterpart: ovl_workdir_cleanup().
void remove_leftovers(const std::string& work);

}  // namespace ovl
