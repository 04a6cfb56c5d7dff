// The threads that receive calls and serve them.
//
// Problem: nobody's call may wait for what another's waits for (a lock, a slow copy, a dead network
// file system), and it can't be told beforehand which will. But a second thread that waits in RECV
// all the time is woken by each call too, and the two take turns: almost two context switches more
// for each.
//
// How: one thread receives, serves what came, and receives again. A look-out wakes once in a
// millisecond while there are calls (never when there are none): where a call waits and nobody
// receives, another thread does from then on, for as long as that happens. Where a thread knows
// that it is going to wait, it hands over at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace ovl {

class Crew {
 public:
  // `listener`: the notification descriptor, not owned. `serve`: a thread's life: receives and
  // serves until nobody is left or end() and rest() tell it otherwise. The threads end with the
  // process.
  Crew(int listener, std::function<void()> serve);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Throws Failure when there can be no thread. Requires: all signals are blocked.
  void start();

  // --- by a thread of the crew ---

  // It has received a call.
  void begin();
  // What it does now may take as long as it likes: somebody else is to receive.
  void hand_over();
  // It is about to answer: another call of the same task may come at once. False: others receive
  // already, and it goes to rest() after that.
  [[nodiscard]] bool end();
  // Until it is needed again; false: it is not, and ends.
  [[nodiscard]] bool rest();

 private:
  bool spawn(void* (*run)(void*));
  bool add();  // false: there can be no more threads
  bool somebody_waits() const;
  void look_out();
  void wake_look_out();

  const int listener_;
  const std::function<void()> serve_;
  const int most_;  // that receive
  std::atomic<int> receiving_{0};
  std::atomic<int> wanted_{1};  // that receive
  std::atomic<uint64_t> begun_{0};
  std::atomic<bool> asleep_{false};  // the look-out
  std::mutex mutex_;
  std::condition_variable woken_, needed_;
  int resting_ = 0;
  int called_ = 0;  // of these, back to work
};

}  // namespace ovl
