// A mutex of one word on a futex: no libc behind it, so it is the same in every glibc. Not robust:
// it guards what belongs to this process alone, and is held for memory operations and single system
// calls.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>

#include <atomic>

#include "core/sys/gate.h"

namespace ovl {

class Mutex {
 public:
  void lock() {
    int seen = 0;
    if (word_.compare_exchange_strong(seen, kHeld, std::memory_order_acquire)) return;
    while (word_.exchange(kContended, std::memory_order_acquire) != 0)
      raw_call(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, kContended, nullptr, nullptr, 0);
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == kContended)
      raw_call(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

 private:
  static constexpr int kHeld = 1, kContended = 2;
  std::atomic<int> word_{0};
};

class Guard {
 public:
  explicit Guard(Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
  ~Guard() { mutex_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace ovl
