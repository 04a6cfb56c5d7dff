// The search for a command in PATH, as execvp(3) does it.
#pragma once

#include <functional>
#include <string>

namespace ovl {

// Calls `attempt` with each candidate; it returns an errno, or 0 for "this one". Returns 0, or the
// errno that says why there is none.
int search_path(const std::string& command, const std::function<int(const std::string&)>& attempt);

// 126 or 127, as env(1) tells them apart.
int exec_status(int code);

}  // namespace ovl
