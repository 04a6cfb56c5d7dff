// What the supervisor needs of the kernel and of the place that ovlrun runs in. It is tried out on
// a child, since nothing else tells what kernel, container profiles, outer filters, security
// modules and name spaces allow together.
#pragma once

#include <string>
#include <vector>

namespace ovl {

// One line for each thing that can't be had here; empty: there can be a supervisor. Touches nothing
// but a child of its own, which has gone when it returns. Throws Failure when there can be no
// child.
std::vector<std::string> missing_for_supervisor();

}  // namespace ovl
