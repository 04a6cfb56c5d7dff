// See worker.h.
#include "tests/unit/linear/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <memory>
#include <thread>

#include "tests/unit/linear/generate.h"

namespace linear {
namespace {

// Children that a call is made in.
enum class Child : uint8_t {
  kFork,
  kVfork,         // shares the memory while the thread that made it waits
  kSharesMemory,  // shares it with a stack of its own
};
constexpr int kChildKinds = 3;

// One that makes calls.
class Worker {
 public:
  Worker(const std::string& top, Shared* shared, int number, const MakeCalls& make_calls)
      : plan_(shared->plan),
        top_(top),
        shared_(shared),
        number_(number),
        calls_(make_calls()),
        handler_calls_(make_calls()) {}
  ~Worker() {
    if (held_ >= 0) close(held_);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void run() {
    running = this;
    if (plan_.in_thread != nullptr) plan_.in_thread();
    for (uint32_t round = 1;; round++) {
      wait_while(&shared_->begun, round - 1);
      if (shared_->stop != 0) break;
      make(static_cast<int>(round - 1));
      if (++shared_->finished == workers()) futex(&shared_->finished, FUTEX_WAKE, 1);
    }
    running = nullptr;
  }

  // Of a signal: whatever the thread is in the middle of.
  static void handle(int) {
    const int saved = errno;
    if (running != nullptr) running->interrupt();
    sched_yield();
    errno = saved;
  }

 private:
  static thread_local Worker* running;

  uint32_t workers() const { return static_cast<uint32_t>(plan_.processes * plan_.threads); }

  void make(int round) {
    Script script(plan_, plan_.first_round + round);
    const std::vector<Call>& mine = script.of_task(number_);
    const std::string top = tree_name(top_, plan_.first_round + round);
    std::vector<Call> handled;
    for (int i = 0; i < number_; i++) script.other();
    for (int i = 0; plan_.storm && i < kHandledMost; i++) handled.push_back(script.other());
    std::mt19937 chance(static_cast<uint32_t>(plan_.seed) * 7919u +
                        static_cast<uint32_t>(plan_.first_round + round) * 64u +
                        static_cast<uint32_t>(number_));

    Slot* slot = &shared_->slots[round & 1][number_];
    // Together.
    shared_->arrived++;
    while (shared_->arrived.load() < workers()) sched_yield();

    begin_handling(top.c_str(), &handled, &shared_->slots[round & 1][kWorkersMost + number_]);
    for (const Call& call : mine) {
      const auto drawn = static_cast<int>(chance() % 100);
      if (drawn < plan_.children)
        in_child(top, call, slot, static_cast<Child>(drawn % kChildKinds));
      else
        record(*calls_, top.c_str(), call, slot, 1 + number_);
    }
    end_handling();
  }

  void record(Calls& calls, const char* top, const Call& call, Slot* slot, int task) {
    Event& e = slot->events[slot->count.load()];
    e.call = call;
    e.task = static_cast<uint8_t>(task);
    e.invoked = shared_->clock++;
    e.answer = perform(calls, top, call);
    e.returned = shared_->clock++;
    slot->count++;
  }

  // A copy of this process made while others of its threads are in the middle of something; or one
  // that shares its memory, and stands in another directory.
  void in_child(const std::string& top, const Call& call, Slot* slot, Child kind) {
    InChild in = {this, top.c_str(), &call, slot};
    if (held_ < 0) held_ = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);  // NOLINT: vararg
    struct stat before = {}, after = {};
    if (fstat(held_, &before) != 0) abort();
    // Who shares the memory has this thread's errno too: no handler shall put it back meanwhile.
    sigset_t mask, old;
    sigfillset(&mask);
    pthread_sigmask(SIG_BLOCK, &mask, &old);
    pid_t child = -1;
    switch (kind) {
      case Child::kFork:
        child = fork();
        if (child == 0) {
          record(*calls_, top.c_str(), call, slot, 1 + number_);
          _exit(0);
        }
        break;
      case Child::kVfork:
        child = vfork();
        if (child == 0) _exit(child_main(&in));
        break;
      case Child::kSharesMemory:
        if (stack_.empty()) stack_.resize(1 << 18);
        child = clone(&child_main, stack_.data() + stack_.size(), CLONE_VM | SIGCHLD, &in);
        break;
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
      if (errno != EINTR) abort();
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    if (status != 0) abort();
    // Its descriptors are its own.
    if (fstat(held_, &after) != 0 || after.st_ino != before.st_ino) abort();
  }

  struct InChild {
    Worker* self;
    const char* top;
    const Call* call;
    Slot* slot;
  };
  static int child_main(void* p) {
    const auto* in = static_cast<InChild*>(p);
    Worker& w = *in->self;
    const long fd = w.calls_->open(in->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0 || dup2(static_cast<int>(fd), w.held_) != w.held_) return 1;
    close(static_cast<int>(fd));
    if (w.calls_->fchdir(w.held_) < 0) return 1;
    w.record(*w.calls_, ".", *in->call, in->slot, 1 + w.number_);
    return 0;
  }
  void begin_handling(const char* top, const std::vector<Call>* calls, Slot* slot) {
    handled_ = 0;
    handler_top_ = top;
    handler_list_ = calls;
    handler_slot_.store(slot);
  }
  void end_handling() { handler_slot_.store(nullptr); }
  void interrupt() {
    Slot* slot = handler_slot_.load();
    if (slot == nullptr || handled_ >= handler_list_->size()) return;
    record(*handler_calls_, handler_top_, (*handler_list_)[handled_++], slot,
           1 + kWorkersMost + number_);
  }

  const Plan& plan_;
  const std::string& top_;
  Shared* shared_;
  const int number_;
  std::unique_ptr<Calls> calls_, handler_calls_;
  std::vector<char> stack_;
  int held_ = -1;  // children have something else under it
  std::atomic<Slot*> handler_slot_ = nullptr;
  const std::vector<Call>* handler_list_ = nullptr;
  const char* handler_top_ = nullptr;
  size_t handled_ = 0;
};

thread_local Worker* Worker::running = nullptr;

}  // namespace

void run_process(Shared* shared, int process, const std::string& top, const MakeCalls& make_calls) {
  const Plan& plan = shared->plan;
  if (plan.signals != 0) {
    struct sigaction action = {};
    action.sa_handler = &Worker::handle;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval often = {{0, plan.signals}, {0, plan.signals}};
    setitimer(ITIMER_REAL, &often, nullptr);
  }
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::thread> threads;
  for (int i = 0; i < plan.threads; i++)
    workers.push_back(
        std::make_unique<Worker>(top, shared, process * plan.threads + i, make_calls));
  for (int i = 1; i < plan.threads; i++)
    threads.emplace_back([&workers, i] { workers[static_cast<size_t>(i)]->run(); });
  workers[0]->run();
  for (std::thread& t : threads) t.join();
}

}  // namespace linear
