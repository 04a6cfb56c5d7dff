// What rounds are like. Everything follows from the seed but who is when.
#pragma once

#include <stdint.h>

namespace linear {

struct Plan {
  uint64_t seed = 1;
  int first_round = 0;
  int rounds = 0;                 // below kRoundsMost
  int processes = 1;              // besides the one that checks
  int threads = 3;                // in each
  int calls_most = 8;             // of a task in a round
  bool links = true;              // some files of the lower have several names
  int signals = 0;                // microseconds between those that make a task give way to others
  bool storm = false;             // and make calls themselves
  bool few_names = false;         // all make and remove the same two names
  int children = 0;               // percent of calls that are made in a child
  void (*in_thread)() = nullptr;  // each task begins with it

  int tasks() const { return processes * threads; }
};
constexpr int kRoundsMost = 400;  // trees in a lower

}  // namespace linear
