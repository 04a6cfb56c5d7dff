// Rounds: in each, some tasks make some calls side by side on a small tree of its own, below one
// overlay, and what they were told is checked.
#pragma once

#include <functional>
#include <memory>

#include "tests/unit/linear/linearize.h"
#include "tests/unit/linear/perform.h"
#include "tests/unit/linear/plan.h"

namespace linear {

struct Tally {
  uint64_t operations = 0;  // made side by side
  uint64_t met = 0;         // of these, while another one went on
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

// Executes the program that is process `process` of a round; it calls work(). Does not return.
using BecomeProgram = std::function<void(int shared_fd, int process)>;

// `top`: where programs see the lower. Forks; `become`: what the children then execute, if they
// don't go on as they are.
Tally run_rounds(const Plan& plan, const std::string& top, const MakeCalls& make_calls,
                 const BecomeProgram& become = nullptr);
void work(int shared_fd, int process, const std::string& top, const MakeCalls& make_calls);

// The trees, as they are now: to be compared with a later look.
std::vector<std::string> look_at_trees(const Plan& plan, const std::string& top, Calls& calls);

}  // namespace linear
