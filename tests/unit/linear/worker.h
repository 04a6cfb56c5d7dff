// A process of a round: threads that make the calls of its script, handlers of signals, children.
#pragma once

#include "tests/unit/linear/shared.h"

namespace linear {

// Makes its part of each round until there are no more.
void run_process(Shared* shared, int process, const std::string& top, const MakeCalls& make_calls);

}  // namespace linear
