// The upper's holder, for who wants it next.
#pragma once

#include <string>

namespace ovl {

// Who holds the upper or the workdir, as "pid 123 (make install)"; empty: nobody. A session whose
// command has ended is over as soon as what that left running is: it is waited for, some seconds,
// and told with what is left of it.
std::string lasting_holder(const std::string& upper, const std::string& work);

}  // namespace ovl
