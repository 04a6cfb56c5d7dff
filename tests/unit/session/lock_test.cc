// The locks of a session, between processes that may be killed at any instant.
#include "core/session/lock.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

uint32_t self() { return static_cast<uint32_t>(syscall(SYS_gettid)); }

// What processes of a test share.
struct Shared {
  LockWord word;
  std::atomic<uint32_t> step;     // each test's own meaning
  std::atomic<uint32_t> inside;   // tasks in the critical section
  std::atomic<uint32_t> clashes;  // there was another one
  std::atomic<uint32_t> inherited;
  volatile uint64_t plain;  // not atomic: the lock's business
};

class Lock : public ::testing::Test {
 protected:
  Lock()
      : shared_(static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~Lock() override {
    for (pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    munmap(shared_, sizeof(Shared));
  }

  pid_t start(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    children_.push_back(child);
    return child;
  }
  // The exit status; -signal when killed.
  int reap(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    std::erase(children_, child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  static void wait_until(const std::function<bool()>& condition) {
    while (!condition()) sched_yield();
  }
  void one_inside(int yields) {
    if (shared_->inside.fetch_add(1) != 0) shared_->clashes++;
    const uint64_t seen = shared_->plain;
    for (int i = 0; i < yields; i++) sched_yield();
    shared_->plain = seen + 1;
    shared_->inside.fetch_sub(1);
  }
  bool has_waiter() { return (shared_->word.load() & FUTEX_WAITERS) != 0; }

  Shared* shared_;
  std::vector<pid_t> children_;
};

TEST_F(Lock, IsFreeAgainAfterwards) {
  EXPECT_FALSE(lock_word(shared_->word, self()));
  EXPECT_EQ(shared_->word.load(), self());
  unlock_word(shared_->word, self());
  EXPECT_EQ(shared_->word.load(), 0u);
}

TEST_F(Lock, LetsOneProcessInAtATime) {
  constexpr int kProcesses = 4, kRounds = 2000;
  std::vector<pid_t> started;
  for (int p = 0; p < kProcesses; p++)
    started.push_back(start([this] {
      for (int i = 0; i < kRounds; i++) {
        lock_word(shared_->word, self());
        one_inside(i % 50 == 0);
        unlock_word(shared_->word, self());
      }
      return 0;
    }));
  for (pid_t child : started) EXPECT_EQ(reap(child), 0);
  EXPECT_EQ(shared_->clashes, 0u);
  EXPECT_EQ(shared_->plain, uint64_t{kProcesses} * kRounds);
  EXPECT_EQ(shared_->word.load(), 0u);
}

TEST_F(Lock, LetsOneThreadInAtATime) {
  constexpr int kThreads = 4, kRounds = 2000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++)
    threads.emplace_back([this] {
      for (int i = 0; i < kRounds; i++) {
        lock_word(shared_->word, self());
        one_inside(i % 50 == 0);
        unlock_word(shared_->word, self());
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(shared_->clashes, 0u);
  EXPECT_EQ(shared_->plain, uint64_t{kThreads} * kRounds);
}

TEST_F(Lock, OfAKilledOwnerIsTakenOverWhetherReapedOrNot) {
  for (bool reaped : {false, true}) {
    shared_->word = 0;
    shared_->step = 0;
    const pid_t owner = start([this]() -> int {
      lock_word(shared_->word, self());
      shared_->step = 1;
      for (;;) pause();
    });
    wait_until([this] { return shared_->step == 1; });
    kill(owner, SIGKILL);
    if (reaped) {
      reap(owner);
    } else {  // a zombie
      siginfo_t info;
      ASSERT_EQ(waitid(P_PID, owner, &info, WEXITED | WNOWAIT), 0);
    }
    EXPECT_TRUE(lock_word(shared_->word, self())) << reaped;
    EXPECT_EQ(shared_->word.load() & FUTEX_TID_MASK, self());
    unlock_word(shared_->word, self());
    EXPECT_EQ(shared_->word.load(), 0u);
  }
}

TEST_F(Lock, OfAKilledOwnerGoesToItsWaiter) {
  const pid_t owner = start([this]() -> int {
    lock_word(shared_->word, self());
    shared_->step = 1;
    for (;;) pause();
  });
  wait_until([this] { return shared_->step == 1; });
  std::vector<pid_t> waiters;
  for (int i = 0; i < 3; i++)
    waiters.push_back(start([this] {
      if (lock_word(shared_->word, self())) shared_->inherited++;
      one_inside(3);
      unlock_word(shared_->word, self());
      return 0;
    }));
  wait_until([this] { return has_waiter(); });
  kill(owner, SIGKILL);
  EXPECT_EQ(reap(owner), -SIGKILL);
  for (pid_t waiter : waiters) EXPECT_EQ(reap(waiter), 0);
  EXPECT_EQ(shared_->inherited, 1u);
  EXPECT_EQ(shared_->clashes, 0u);
  EXPECT_EQ(shared_->plain, 3u);
  EXPECT_EQ(shared_->word.load(), 0u);
}

TEST_F(Lock, OfADeadOwnerIsTakenOverByOneOfMany) {
  const pid_t gone = start([] { return 0; });
  reap(gone);
  constexpr int kProcesses = 4;
  constexpr uint32_t kRounds = 300;
  // step: rounds begun << 8 | processes that are ready for the next one
  std::vector<pid_t> started;
  for (int p = 0; p < kProcesses; p++)
    started.push_back(start([this, gone] {
      for (uint32_t round = 1; round <= kRounds; round++) {
        if ((shared_->step.fetch_add(1) & 0xff) == kProcesses - 1) {
          shared_->word = static_cast<uint32_t>(gone);
          shared_->step = round << 8;
        }
        while (shared_->step >> 8 < round) sched_yield();
        lock_word(shared_->word, self());
        one_inside(2);
        unlock_word(shared_->word, self());
      }
      return 0;
    }));
  for (pid_t child : started) EXPECT_EQ(reap(child), 0);
  EXPECT_EQ(shared_->clashes, 0u);
  EXPECT_EQ(shared_->plain, uint64_t{kProcesses} * kRounds);
}

TEST_F(Lock, SurvivesManyKillsWithoutEverLettingTwoIn) {
  constexpr int kProcesses = 3, kKills = 150;
  const auto work = [this]() -> int {
    for (;;) {
      lock_word(shared_->word, self());
      // A victim may have been inside: it counts no more. The plain counter is what must not be
      // torn.
      shared_->inside.store(self());
      sched_yield();
      if (shared_->inside.load() != self()) shared_->clashes++;
      shared_->plain = shared_->plain + 1;
      unlock_word(shared_->word, self());
    }
  };
  std::vector<pid_t> workers;
  for (int p = 0; p < kProcesses; p++) workers.push_back(start(work));
  for (int i = 0; i < kKills; i++) {
    const uint64_t before = shared_->plain;
    wait_until([this, before] { return shared_->plain >= before + 3; });  // they still get on
    pid_t& victim = workers[i % kProcesses];
    kill(victim, SIGKILL);
    reap(victim);
    victim = start(work);
  }
  for (pid_t worker : workers) {
    kill(worker, SIGKILL);
    reap(worker);
  }
  EXPECT_EQ(shared_->clashes, 0u);
  lock_word(shared_->word, self());
  unlock_word(shared_->word, self());
}

TEST_F(Lock, OfThisVeryTaskIsNotWaitedFor) {
  lock_word(shared_->word, self());
  EXPECT_FALSE(lock_word(shared_->word, self()));
  unlock_word(shared_->word, self());
  EXPECT_EQ(shared_->word.load(), 0u);
}

class MutationTest : public OverlayTest {
 protected:
  // Does another thread come to hold such a mutation while this thread holds what it holds?
  bool other_gets(Mutation::Topology topology) {
    auto got = std::make_shared<std::atomic<bool>>(false);
    others_.emplace_back([this, topology, got] {
      Mutation m(session(), topology);
      *got = true;
    });
    bool waits = false;
    while (!*got && !waits) {
      for (LockWord& word : session().state().topology)
        if ((word.load() & FUTEX_WAITERS) != 0) waits = true;
      sched_yield();
    }
    return *got;
  }
  void join() {
    for (std::thread& t : others_) t.join();
    others_.clear();
  }
  std::vector<std::thread> others_;
};

TEST_F(MutationTest, ExclusiveExcludesEverything) {
  start();
  {
    Mutation m(session(), Mutation::Topology::kExclusive);
    EXPECT_FALSE(other_gets(Mutation::Topology::kShared));
  }
  join();
  {
    Mutation m(session(), Mutation::Topology::kShared);
    EXPECT_FALSE(other_gets(Mutation::Topology::kExclusive));
  }
  join();
}

TEST_F(MutationTest, SharedOnesOfDifferentTasksGoOnTogether) {
  start();
  auto m = std::make_unique<Mutation>(session(), Mutation::Topology::kShared);
  // Tasks whose ids fall into one shard exclude one another; the next thread has the next id,
  // mostly.
  int together = 0;
  for (int i = 0; i < 3; i++) together += other_gets(Mutation::Topology::kShared) ? 1 : 0;
  EXPECT_GE(together, 1);
  m.reset();
  join();
}

TEST_F(MutationTest, ExclusiveBumpsTheEpoch) {
  start();
  const uint64_t before = session().state().epoch.load();
  { Mutation m(session(), Mutation::Topology::kShared); }
  EXPECT_EQ(session().state().epoch.load(), before);
  { Mutation m(session(), Mutation::Topology::kExclusive); }
  EXPECT_GT(session().state().epoch.load(), before);
}

TEST_F(MutationTest, SignalsWaitUntilItIsOver) {
  start();
  static std::atomic<int> handled;
  handled = 0;
  struct sigaction action {
  }, old{};
  action.sa_handler = [](int) { handled++; };
  sigaction(SIGUSR1, &action, &old);
  sigset_t before, after;
  sigprocmask(SIG_SETMASK, nullptr, &before);
  {
    Mutation m(session(), Mutation::Topology::kShared);
    raise(SIGUSR1);
    EXPECT_EQ(handled, 0);
  }
  EXPECT_EQ(handled, 1);
  sigprocmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(memcmp(&before, &after, 8), 0);
  sigaction(SIGUSR1, &old, nullptr);
}

TEST_F(MutationTest, DirectoriesInEitherOrderDoNotBlockOneAnother) {
  start();
  const Overlay& overlay = session().overlay(0);
  std::atomic<int> inside{0}, clashes{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; i++) {
        Mutation m(session(), Mutation::Topology::kShared);
        if (t % 2 == 0)
          m.lock_dirs(overlay, "/a", "/b");
        else
          m.lock_dirs(overlay, "/b", "/a");
        if (inside.fetch_add(1) != 0) clashes++;
        if (i % 50 == 0) sched_yield();
        inside.fetch_sub(1);
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(clashes, 0);
  Mutation m(session(), Mutation::Topology::kShared);
  m.lock_dirs(overlay, "/same", "/same");
}

TEST_F(MutationTest, OfAKilledProcessBlocksNobody) {
  start();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    Mutation m(session(), Mutation::Topology::kExclusive);
    m.lock_dir(session().overlay(0), "/d");
    if (write(ends[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  {
    Mutation m(session(), Mutation::Topology::kExclusive);
    m.lock_dir(session().overlay(0), "/d");
  }
  for (LockWord& word : session().state().topology) EXPECT_EQ(word.load(), 0u);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace ovl::testing
