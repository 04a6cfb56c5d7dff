// See crew.h.
#include "launcher/supervisor/crew.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/failure.h"

namespace ovl {
namespace {

constexpr size_t kStack = 512 * 1024;
constexpr int kRestMost = 4;
constexpr timespec kTick = {0, 1'000'000};
constexpr int kBlockedTicks = 8;  // without a receiver, though no call waits
constexpr int kCrowdedTicks = 4;  // more with calls that wait than without: one receiver is too few
constexpr int kCalmTicks = 32;    // in which no call waited: fewer receive
constexpr int kIdleTicks = 8;     // without a call: the look-out sleeps

}  // namespace

Crew::Crew(int listener, std::function<void()> serve)
    : listener_(listener),
      serve_(std::move(serve)),
      most_(std::clamp(static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)), 2, 8)) {}

bool Crew::spawn(void* (*run)(void*)) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, run, this);
  pthread_attr_destroy(&attributes);
  if (error != 0) complain(fmt::format("no more threads: {}", error_text(error)));
  return error == 0;
}

void Crew::start() {
  const bool receives = add();
  const bool looks_out = spawn([](void* self) -> void* {
    static_cast<Crew*>(self)->look_out();
    return nullptr;
  });
  if (!receives || !looks_out) fail("the supervisor can't have threads");
}

bool Crew::add() {
  receiving_.fetch_add(1);
  {
    const std::lock_guard lock(mutex_);
    if (resting_ > called_) {
      called_++;
      needed_.notify_one();
      return true;
    }
  }
  const bool one_more = spawn([](void* self) -> void* {
    static_cast<Crew*>(self)->serve_();
    return nullptr;
  });
  // Otherwise those that are there have to do: the next look finds the same again.
  if (!one_more) receiving_.fetch_sub(1);
  return one_more;
}

void Crew::begin() {
  receiving_.fetch_sub(1);
  begun_.fetch_add(1);
  if (asleep_.load()) wake_look_out();
}

void Crew::hand_over() {
  if (receiving_.load() == 0) add();
}

bool Crew::end() {
  if (receiving_.fetch_add(1) < wanted_.load(std::memory_order_relaxed)) return true;
  receiving_.fetch_sub(1);
  return false;
}

bool Crew::rest() {
  std::unique_lock lock(mutex_);
  if (resting_ >= kRestMost) return false;
  resting_++;
  needed_.wait(lock, [&] { return called_ > 0; });
  called_--;
  resting_--;
  return true;
}

bool Crew::somebody_waits() const {
  struct pollfd state = {listener_, POLLIN, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & POLLIN) != 0;
}

void Crew::wake_look_out() {
  const std::lock_guard lock(mutex_);
  asleep_.store(false);
  woken_.notify_one();
}

void Crew::look_out() {
  uint64_t seen = 0;
  int blocked = 0, crowded = 0, calm = 0, idle = 0;
  for (;;) {
    nanosleep(&kTick, nullptr);
    const uint64_t begun = begun_.load();
    const bool nobody_receives = receiving_.load() == 0;
    const bool waits = nobody_receives && somebody_waits();
    blocked = nobody_receives && begun == seen ? blocked + 1 : 0;
    crowded = waits ? crowded + 1 : std::max(crowded - 1, 0);
    calm = waits ? 0 : calm + 1;
    if ((blocked > 0 && waits) || blocked >= kBlockedTicks) {
      add();
      blocked = 0;
    } else if (crowded >= kCrowdedTicks) {
      wanted_.store(std::min(wanted_.load() + 1, most_));
      add();
      crowded = 0;
    } else if (calm >= kCalmTicks) {
      wanted_.store(std::max(wanted_.load() - 1, 1));
      calm = 0;
    }
    idle = begun == seen && !nobody_receives ? idle + 1 : 0;
    seen = begun;
    if (idle < kIdleTicks) continue;
    std::unique_lock lock(mutex_);
    asleep_.store(true);
    if (begun_.load() != seen) asleep_.store(false);  // and did not see us asleep
    woken_.wait(lock, [&] { return !asleep_.load(); });
    wanted_.store(1);
  }
}

}  // namespace ovl
