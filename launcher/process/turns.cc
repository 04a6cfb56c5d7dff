// See turns.h.
#include "launcher/process/turns.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ovl {
namespace {

constexpr uint64_t kShortTurn = 100'000;  // nanoseconds: the least that the kernel gives

// struct sched_attr of the kernel, as of Linux 5.3; <linux/sched/types.h> can't be had beside
// libc's <sched.h>.
struct Attributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;  // of SCHED_OTHER: the turn
  uint64_t deadline;
  uint64_t period;
  uint32_t util_min;
  uint32_t util_max;
};

bool changed = false;
Attributes callers;

}  // namespace

void take_short_turns() {
  if (syscall(SYS_sched_getattr, 0, &callers, sizeof callers, 0) != 0) return;
  // 0: a kernel that knows no turns of one's own.
  if (callers.policy != SCHED_OTHER || callers.runtime <= kShortTurn) return;
  Attributes wanted = callers;
  wanted.runtime = kShortTurn;
  changed = syscall(SYS_sched_setattr, 0, &wanted, 0) == 0;
}

void give_turns_back() {
  if (changed) syscall(SYS_sched_setattr, 0, &callers, 0);
}

}  // namespace ovl
