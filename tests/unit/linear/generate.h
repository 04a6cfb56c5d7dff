// The trees that rounds begin with, and the calls that tasks make on them.
#pragma once

#include <random>

#include "tests/unit/linear/perform.h"
#include "tests/unit/linear/plan.h"
#include "tests/unit/linear/tree.h"

namespace linear {

// Fills an empty directory: the lower of the round.
// `links`: with hard links.
void make_tree(const std::string& dir, int round, bool links);
// What such a tree is at first. Inode numbers, modes and sizes are what the calls say, before
// anything has changed.
Tree first_tree(Calls& calls, const std::string& top, int round, bool links);

// The calls of one round. Few names and few kinds, other ones in each, so that they meet.
class Script {
 public:
  Script(const Plan& plan, int round);
  // Before the tasks begin.
  const std::vector<Call>& before() const { return before_; }
  const std::vector<Call>& of_task(int task) const { return calls_[static_cast<size_t>(task)]; }
  // What handlers of signals do.
  Call other();

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  Call any();

  std::mt19937_64 random_;
  std::vector<Path> paths_;
  std::vector<Kind> kinds_;
  std::vector<Call> before_;
  std::vector<std::vector<Call>> calls_;
  uint16_t made_ = 0;
};

Path parse_path(const char* text);

}  // namespace linear
