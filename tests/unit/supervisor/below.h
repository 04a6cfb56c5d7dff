// A child below the filter, whose trapped calls this process answers.
#pragma once

#include <linux/seccomp.h>

#include <functional>

#include "launcher/supervisor/filter.h"

namespace ovl {

constexpr int kMark = 77;  // the errno that trapped calls get

// Runs the body in a child below the filter and answers all its trapped calls with kMark, after
// `look` has seen them. Returns the body's result as an exit status; -1 with errno when the filter
// can't be had here.
int run_below(const FilterOptions& options, const std::function<int()>& body,
              const std::function<void(const seccomp_notif&)>& look = {});

}  // namespace ovl
