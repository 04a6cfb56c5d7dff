// What the processes of a round share: a memory file, so that programs which are executed have it
// too.
#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "tests/unit/linear/rounds.h"

namespace linear {

constexpr int kWorkersMost = 64;
constexpr int kCallsMost = 16;
constexpr int kHandledMost = 4;  // of a task, in a round

struct Slot {
  std::atomic<uint32_t> count;
  Event events[kCallsMost];
};

struct Shared {
  std::atomic<uint64_t> clock;
  std::atomic<uint32_t> begun;  // the round that is going on, counted from 1
  std::atomic<uint32_t> arrived;
  std::atomic<uint32_t> finished;
  std::atomic<uint32_t> stop;
  Plan plan;
  Slot slots[2][2 * kWorkersMost];  // of two rounds; handlers of signals come second
};

inline long futex(std::atomic<uint32_t>* word, int op, uint32_t value,
                  const timespec* timeout = nullptr) {
  return syscall(SYS_futex, word, op, value, timeout, nullptr, 0);
}

// Until it is no more `old`. Most waits are short.
inline void wait_while(std::atomic<uint32_t>* word, uint32_t old) {
  for (int i = 0; i < 100 && word->load() == old; i++) sched_yield();
  const timespec a_while = {1, 0};
  while (word->load() == old) futex(word, FUTEX_WAIT, old, &a_while);
}

inline std::string tree_name(const std::string& top, int round) {
  return top + "/r" + std::to_string(round % kRoundsMost);
}

}  // namespace linear
