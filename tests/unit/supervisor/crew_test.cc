// Who receives when a call takes long.
#include "launcher/supervisor/crew.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "launcher/failure.h"

namespace ovl {
namespace {

enum Call : uint64_t { kQuick = 1, kBlocks = 2, kHandsOver = 3 };

// A semaphore of calls stands for the listener: it can be polled, and each read takes one.
class Calls {
 public:
  Calls() : fd_(eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC)), crew_(fd_, [this] { serve(); }) {
    crew_.start();
  }

  void make(Call kind) {
    const std::lock_guard lock(mutex_);
    kinds_.push_back(kind);
    const uint64_t one = 1;
    ASSERT_EQ(write(fd_, &one, sizeof one), ssize_t{sizeof one});
  }
  // Until so many have been answered in all, or are blocked.
  void wait(size_t answered, size_t blocked) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answered_ == answered && blocked_ == blocked; });
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    blocks_ = false;
    changed_.notify_all();
  }
  size_t receivers() {
    const std::lock_guard lock(mutex_);
    return receivers_;
  }

 private:
  void serve() {
    do {
      for (bool receives = true; receives;) {
        count(&Calls::receivers_, 1);
        uint64_t one;
        EXPECT_EQ(read(fd_, &one, sizeof one), ssize_t{sizeof one});
        count(&Calls::receivers_, -1);
        crew_.begin();
        perform();
        receives = crew_.end();
        count(&Calls::answered_, 1);
      }
    } while (crew_.rest());
  }

  void perform() {
    std::unique_lock lock(mutex_);
    const Call kind = kinds_[taken_++];
    if (kind == kQuick) return;
    if (kind == kHandsOver) {
      lock.unlock();
      crew_.hand_over();
      lock.lock();
    }
    blocked_++;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !blocks_; });
    blocked_--;
  }

  void count(size_t Calls::*what, int by) {
    const std::lock_guard lock(mutex_);
    this->*what += static_cast<size_t>(by);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Call> kinds_;
  size_t taken_ = 0, answered_ = 0, blocked_ = 0, receivers_ = 0;
  bool blocks_ = true;
  const int fd_;
  Crew crew_;
};

// In a child, whose end is that of the threads. `body` leaves what failed to gtest there.
void in_child(const std::function<void(Calls&)>& body) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto* calls = new Calls;
    body(*calls);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(CrewTest, OneAfterTheOther) {
  in_child([](Calls& calls) {
    for (size_t i = 1; i <= 1000; i++) {
      calls.make(kQuick);
      calls.wait(i, 0);
    }
  });
}

TEST(CrewTest, CallsThatBlockHoldNobodyUp) {
  in_child([](Calls& calls) {
    for (size_t i = 1; i <= 20; i++) calls.make(kBlocks);
    calls.make(kQuick);
    calls.wait(1, 20);
    calls.let_go();
    calls.wait(21, 0);
    // All of them again, with the threads that are left.
    calls.make(kQuick);
    calls.wait(22, 0);
  });
}

TEST(CrewTest, ACallThatBlocksIsNoticedWithoutAnother) {
  in_child([](Calls& calls) {
    calls.make(kBlocks);
    calls.wait(0, 1);
    while (calls.receivers() == 0) sched_yield();
  });
}

TEST(CrewTest, WhoHandsOverLeavesAReceiver) {
  in_child([](Calls& calls) {
    for (size_t i = 1; i <= 20; i++) {
      calls.make(kHandsOver);
      calls.wait(0, i);
    }
    calls.let_go();
    calls.wait(20, 0);
    calls.make(kQuick);
    calls.wait(21, 0);
  });
}

}  // namespace
}  // namespace ovl
