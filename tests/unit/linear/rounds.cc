// See rounds.h.
#include "tests/unit/linear/rounds.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <new>

#include "tests/unit/linear/generate.h"
#include "tests/unit/linear/worker.h"

namespace linear {
namespace {

constexpr double kHangs = 120;  // seconds

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

Shared* map_shared(int fd) {
  void* p = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) abort();
  return static_cast<Shared*>(p);
}

class Leader {
 public:
  Leader(const Plan& plan, const std::string& top, const MakeCalls& make_calls,
         const BecomeProgram& become)
      : plan_(plan),
        top_(top),
        make_calls_(make_calls),
        become_(become),
        calls_(make_calls()),
        fd_(memfd_create("rounds", 0)) {
    if (fd_ < 0 || ftruncate(fd_, sizeof(Shared)) != 0) abort();
    shared_ = new (map_shared(fd_)) Shared();
    shared_->plan = plan;
  }
  ~Leader() {
    munmap(shared_, sizeof(Shared));
    close(fd_);
  }
  Leader(const Leader&) = delete;
  Leader& operator=(const Leader&) = delete;

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
    if (become_ != nullptr) {
      become_(fd_, process);
      _exit(127);
    }
    run_process(shared_, process, top_, make_calls_);
    _exit(0);
  }

  Round prepare(int i) {
    Round round;
    round.number = plan_.first_round + i;
    for (Slot& slot : shared_->slots[i & 1]) slot.count = 0;
    round.before = first_tree(*calls_, name(round), round.number, plan_.links);
    const Script script(plan_, round.number);
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
    const auto all = static_cast<uint32_t>(plan_.tasks());
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
    for (const Event& e : round->history) {
      tally_.operations += e.task != 0 ? 1 : 0;
      tally_.met += std::any_of(round->history.begin(), round->history.end(), [&](const Event& o) {
        return o.task != e.task && o.invoked < e.returned && e.invoked < o.returned;
      });
    }
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
    // The end is what a summary shows.
    fail("no order of the calls explains\n" + to_text(round->history) + "on\n" +
             round->before.text() + "nor these of them\n" +
             to_text(shortest_refused(round->before, round->history)),
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
  const BecomeProgram& become_;
  std::unique_ptr<Calls> calls_;
  const int fd_;
  Shared* shared_ = nullptr;
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

Tally run_rounds(const Plan& plan, const std::string& top, const MakeCalls& make_calls,
                 const BecomeProgram& become) {
  return Leader(plan, top, make_calls, become).run();
}

void work(int shared_fd, int process, const std::string& top, const MakeCalls& make_calls) {
  Shared* shared = map_shared(shared_fd);
  close(shared_fd);
  run_process(shared, process, top, make_calls);
  munmap(shared, sizeof(Shared));
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
