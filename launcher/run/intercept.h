// --intercept, --strict: by which ways calls come to the overlay.
#pragma once

#include <string>
#include <vector>

#include "launcher/options.h"

namespace ovl {

struct Ways {
  bool preload;     // programs get the preload object; with a supervisor, its gate is open
  bool supervisor;  // calls are trapped by the filter
};

// What is wanted, if it can be had. Throws Failure for options that contradict one another.
Ways wanted_ways(const RunOptions& options);

// What is wanted and possible. `missing` says what a supervisor lacks here, one line each; where
// none is wanted that is not looked at. Says on stderr what can't be covered, and with --verbose
// what was chosen. Throws Failure when what was asked for explicitly is not possible.
Ways choose_ways(const RunOptions& options, const std::vector<std::string>& missing);

}  // namespace ovl
