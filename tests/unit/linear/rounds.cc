// See rounds.h.
#include "tests/unit/linear/rounds.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <new>
#include <thread>

#include "tests/unit/linear/generate.h"

namespace linear {
namespace {

constexpr int kWorkersMost = 64;
constexpr int kCallsMost = 16;
constexpr int kHandledMost = 4;  // of a task, in a round
constexpr double kHangs = 120;   // seconds

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

struct Slot {
  std::atomic<uint32_t> count;
  Event events[kCallsMost];
};

// What all processes share.
struct Shared {
  std::atomic<uint64_t> clock;
  std::atomic<uint32_t> begun;  // the round that is going on, counted from 1
  std::atomic<uint32_t> arrived;
  std::atomic<uint32_t> finished;
  std::atomic<uint32_t> stop;
  Slot slots[2][2 * kWorkersMost];  // of two rounds; handlers of signals come second
};

long futex(std::atomic<uint32_t>* word, int op, uint32_t value, const timespec* timeout = nullptr) {
  return syscall(SYS_futex, word, op, value, timeout, nullptr, 0);
}

// Until it is no more `old`. Most waits are short.
void wait_while(std::atomic<uint32_t>* word, uint32_t old) {
  for (int i = 0; i < 100 && word->load() == old; i++) sched_yield();
  const timespec a_while = {1, 0};
  while (word->load() == old) futex(word, FUTEX_WAIT, old, &a_while);
}

std::string tree_name(const std::string& top, int round) {
  return top + "/r" + std::to_string(round % kRoundsMost);
}

// One that makes calls.
class Worker {
 public:
  Worker(const Plan& plan, const std::string& top, Shared* shared, int number,
         const MakeCalls& make_calls)
      : plan_(plan),
        top_(top),
        shared_(shared),
        number_(number),
        calls_(make_calls()),
        handler_calls_(make_calls()) {}

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
    errno = saved;
  }

 private:
  static thread_local Worker* running;

  uint32_t workers() const { return static_cast<uint32_t>(plan_.processes * plan_.threads); }

  void make(int round) {
    Script script(plan_.seed, plan_.first_round + round, static_cast<int>(workers()),
                  plan_.calls_most);
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
        in_child(top, call, slot, drawn % 2 == 0);
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
  void in_child(const std::string& top, const Call& call, Slot* slot, bool shares_memory) {
    const pid_t child = shares_memory ? vfork_like(top, call, slot) : fork();
    if (child == 0) {
      record(*calls_, top.c_str(), call, slot, 1 + number_);
      _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) abort();
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
    const long r = w.calls_->chdir(in->top);
    if (r < 0) return 1;
    w.record(*w.calls_, ".", *in->call, in->slot, 1 + w.number_);
    return 0;
  }
  pid_t vfork_like(const std::string& top, const Call& call, Slot* slot) {
    if (stack_.empty()) stack_.resize(1 << 18);
    InChild in = {this, top.c_str(), &call, slot};
    return clone(&child_main, stack_.data() + stack_.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &in);
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
  std::atomic<Slot*> handler_slot_ = nullptr;
  const std::vector<Call>* handler_list_ = nullptr;
  const char* handler_top_ = nullptr;
  size_t handled_ = 0;
};

thread_local Worker* Worker::running = nullptr;

class Leader {
 public:
  Leader(const Plan& plan, const std::string& top, const MakeCalls& make_calls)
      : plan_(plan), top_(top), make_calls_(make_calls), calls_(make_calls()) {
    void* p =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared_ = new (p) Shared();
  }
  ~Leader() { munmap(shared_, sizeof(Shared)); }

  Tally run() {
    for (int i = 0; i < plan_.processes; i++) start(i);
    const double began = now();
    Round last, round;
    for (int i = 0; i < plan_.rounds && !tally_.failed(); i++) {
      round = prepare(i);
      shared_->arrived = 0;
      shared_->finished = 0;
      shared_->begun = static_cast<uint32_t>(i) + 1;
      futex(&shared_->begun, FUTEX_WAKE, INT32_MAX);
      if (i > 0) check(&last);  // beside the next one
      wait_for_end(i);
      collect(&round);
      last = std::move(round);
    }
    if (!tally_.failed() && plan_.rounds > 0) check(&last);
    tally_.making = now() - began;
    shared_->stop = 1;
    shared_->begun = static_cast<uint32_t>(plan_.rounds) + 2;
    futex(&shared_->begun, FUTEX_WAKE, INT32_MAX);
    end();
    return std::move(tally_);
  }

 private:
  struct Round {
    int number = 0;
    Tree before;
    History history;
  };

  void start(int process) {
    const pid_t child = fork();
    if (child != 0) {
      children_.push_back(child);
      return;
    }
    if (plan_.storm) {
      struct sigaction action = {};
      action.sa_handler = &Worker::handle;
      action.sa_flags = SA_RESTART;
      sigaction(SIGALRM, &action, nullptr);
      const itimerval often = {{0, 300}, {0, 300}};
      setitimer(ITIMER_REAL, &often, nullptr);
    }
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<std::thread> threads;
    for (int i = 0; i < plan_.threads; i++)
      workers.push_back(
          std::make_unique<Worker>(plan_, top_, shared_, process * plan_.threads + i, make_calls_));
    for (int i = 1; i < plan_.threads; i++)
      threads.emplace_back([&workers, i] { workers[static_cast<size_t>(i)]->run(); });
    workers[0]->run();
    for (std::thread& t : threads) t.join();
    _exit(0);
  }

  Round prepare(int i) {
    Round round;
    round.number = plan_.first_round + i;
    for (Slot& slot : shared_->slots[i & 1]) slot.count = 0;
    round.before = first_tree(*calls_, name(round), round.number, plan_.links);
    const Script script(plan_.seed, round.number, plan_.processes * plan_.threads,
                        plan_.calls_most);
    for (const Call& call : script.before()) record(&round, call);
    return round;
  }

  std::string name(const Round& round) const { return tree_name(top_, round.number); }

  Answer record(Round* round, const Call& call) {
    Event e;
    e.call = call;
    e.invoked = shared_->clock++;
    e.answer = perform(*calls_, name(*round).c_str(), call);
    e.returned = shared_->clock++;
    round->history.push_back(e);
    return e.answer;
  }

  void wait_for_end(int i) {
    const auto all = static_cast<uint32_t>(plan_.processes * plan_.threads);
    const double began = now();
    for (;;) {
      const uint32_t finished = shared_->finished;
      if (finished == all) return;
      const timespec a_while = {1, 0};
      futex(&shared_->finished, FUTEX_WAIT, finished, &a_while);
      int status = 0;
      const pid_t dead = waitpid(-1, &status, WNOHANG);
      if (dead <= 0 && now() - began < kHangs) continue;
      std::erase(children_, dead);
      fail(dead > 0 ? "a task has died of signal " + std::to_string(WTERMSIG(status))
                    : std::string("a task does not come to an end"),
           plan_.first_round + i);
      return;
    }
  }

  void collect(Round* round) {
    const int i = round->number - plan_.first_round;
    for (const Slot& slot : shared_->slots[i & 1])
      round->history.insert(round->history.end(), slot.events, slot.events + slot.count);
    for (const Event& e : round->history) tally_.operations += e.task != 0 ? 1 : 0;
  }

  void look(Round* round, Path path) {
    Call call;
    call.path = path;
    call.kind = Kind::kList;
    const Answer dir = record(round, call);
    for (uint8_t i = 0; i < kNames; i++) {
      if ((dir.listed >> i & 1) == 0) continue;
      call.path = path;
      call.path.name[call.path.depth++] = i;
      call.kind = Kind::kStat;
      const Answer there = record(round, call);
      call.kind = Kind::kOpenRead;
      if (there.facts.type == Type::kFile)
        record(round, call);
      else if (there.error == 0 && call.path.depth < kDeepest)
        look(round, call.path);
    }
  }

  void check(Round* round) {
    const double began = now();
    look(round, Path());
    const Verdict verdict = linearize(round->before, round->history);
    tally_.checking += now() - began;
    tally_.checked += round->history.size();
    tally_.undecided += verdict == Verdict::kTooLong ? 1 : 0;
    if (verdict != Verdict::kRefused) return;
    fail("no order of the calls explains\n" +
             to_text(shortest_refused(round->before, round->history)) + "of\n" +
             to_text(round->history),
         round->number);
  }

  void fail(const std::string& what, int round) {
    if (tally_.failed()) return;
    tally_.failure =
        "seed " + std::to_string(plan_.seed) + " round " + std::to_string(round) + ": " + what;
  }

  void end() {
    for (pid_t child : children_) {
      if (tally_.failed()) kill(child, SIGKILL);
      int status = 0;
      waitpid(child, &status, 0);
      if (status != 0) fail("a task ended with status " + std::to_string(status), -1);
    }
  }

  const Plan& plan_;
  const std::string& top_;
  const MakeCalls& make_calls_;
  std::unique_ptr<Calls> calls_;
  Shared* shared_;
  std::vector<pid_t> children_;
  Tally tally_;
};

void look_below(Calls& calls, const std::string& top, Path path, std::string* text) {
  Call call;
  call.path = path;
  call.kind = Kind::kList;
  const uint8_t listed = perform(calls, top.c_str(), call).listed;
  for (uint8_t i = 0; i < kNames; i++) {
    if ((listed >> i & 1) == 0) continue;
    Event e;
    e.call.path = path;
    e.call.path.name[e.call.path.depth++] = i;
    for (Kind kind : {Kind::kStat, Kind::kOpenRead}) {
      e.call.kind = kind;
      e.answer = perform(calls, top.c_str(), e.call);
      *text += to_text(History{e});
    }
    if (e.answer.facts.type == Type::kDirectory && e.call.path.depth < kDeepest)
      look_below(calls, top, e.call.path, text);
  }
}

}  // namespace

void fill_lower(const std::string& lower, const Plan& plan) {
  for (int i = 0; i < kRoundsMost; i++) {
    const std::string tree = tree_name(lower, i);
    std::filesystem::create_directory(tree);
    make_tree(tree, i, plan.links);
  }
}

Tally run_rounds(const Plan& plan, const std::string& top, const MakeCalls& make_calls) {
  return Leader(plan, top, make_calls).run();
}

std::vector<std::string> look_at_trees(const Plan& plan, const std::string& top, Calls& calls) {
  std::vector<std::string> trees;
  for (int i = 0; i < plan.rounds; i++) {
    trees.emplace_back();
    look_below(calls, tree_name(top, plan.first_round + i), Path(), &trees.back());
  }
  return trees;
}

}  // namespace linear
