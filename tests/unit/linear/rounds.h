// Rounds: in each, some tasks make some calls side by side on a small tree of its own, below one
// overlay, and what they were told is checked. Everything follows from the seed but who is when.
#pragma once

#include <functional>
#include <memory>

#include "tests/unit/linear/linearize.h"
#include "tests/unit/linear/perform.h"

namespace linear {

struct Plan {
  uint64_t seed = 1;
  int first_round = 0;
  int rounds = 0;                 // below kRoundsMost
  int processes = 1;              // besides the one that checks
  int threads = 3;                // in each
  int calls_most = 8;             // of a task in a round
  bool links = true;              // some files of the lower have several names
  bool storm = false;             // signals interrupt the tasks, and their handlers make calls
  void (*in_thread)() = nullptr;  // each task begins with it
  int children = 0;               // percent of calls that are made in a child of fork or vfork
};
constexpr int kRoundsMost = 400;  // trees in a lower

struct Tally {
  uint64_t operations = 0;  // made side by side
  uint64_t checked = 0;     // with those before and after
  uint64_t undecided = 0;   // histories
  double making = 0;        // seconds; checking goes on beside it
  double checking = 0;
  std::string failure;  // "": none

  bool failed() const { return !failure.empty(); }
};

using MakeCalls = std::function<std::unique_ptr<Calls>()>;

// Fills a directory with the trees of a lower.
void fill_lower(const std::string& lower, const Plan& plan);

// `top`: where programs see the lower. Forks.
Tally run_rounds(const Plan& plan, const std::string& top, const MakeCalls& make_calls);

// The trees, as they are now: to be compared with a later look.
std::vector<std::string> look_at_trees(const Plan& plan, const std::string& top, Calls& calls);

}  // namespace linear
