// Many tasks at few names, with copies from the lower on the way: whatever they are told, some
// order of their calls explains it, and so it stays for a session that begins anew.
//
// OVLRUN_LINEAR_OPERATIONS: how many operations each test makes. OVLRUN_SEED: other ones.
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "launcher/session/fill.h"
#include "launcher/upper/check.h"
#include "tests/unit/linear/core_calls.h"
#include "tests/unit/linear/gate_hook.h"
#include "tests/unit/linear/rounds.h"
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

uint64_t number_of(const char* variable, uint64_t otherwise) {
  const char* text = getenv(variable);
  return text != nullptr && *text != 0 ? strtoull(text, nullptr, 10) : otherwise;
}

class Linear : public NamesTest {
 protected:
  // With yields between the system calls of operations: where else would they meet, on few cores?
  static constexpr unsigned kYieldsOften = 8;  // one of so many

  struct Sum {
    std::atomic<uint64_t> operations, met, checked, undecided;
    std::atomic<double> making, checking;
  };

  // In sessions of their own until enough was done.
  void run_all(linear::Plan plan, uint64_t operations, const Options& options = {}) {
    operations = number_of("OVLRUN_LINEAR_OPERATIONS", operations);
    plan.seed = number_of("OVLRUN_SEED", 1);
    linear::fill_lower(lower(), plan);
    const std::string lower_before = fingerprint();
    auto* sum = static_cast<Sum*>(
        mmap(nullptr, sizeof(Sum), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    printf("seed %lu\n", plan.seed);
    for (; sum->operations < operations; plan.first_round += plan.rounds) {
      if (plan.rounds == 0) plan.rounds = linear::kRoundsMost;
      fflush(nullptr);
      const pid_t child = fork();
      if (child == 0) _exit(one_session(plan, options, sum));
      int status = 0;
      waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
      if (status != 0) break;
    }
    EXPECT_EQ(fingerprint(), lower_before) << "the lower has changed";
    printf(
        "%lu operations (%.0f/s), %lu met others, %lu events checked (%.0f/s), %lu undecided "
        "histories\n",
        sum->operations.load(), static_cast<double>(sum->operations) / sum->making, sum->met.load(),
        sum->checked.load(), static_cast<double>(sum->checked) / sum->checking,
        sum->undecided.load());
    // Of many tasks at once the search may take too long: seldom.
    EXPECT_LE(sum->undecided, sum->operations / 300);
    munmap(sum, sizeof(Sum));
    start(options);  // for TearDown
  }

  int one_session(linear::Plan plan, const Options& options, Sum* sum) {
    umask(0);
    for (const std::string& dir : {upper(), work("/work"), work("/index"), work("/ovlrun")}) {
      std::filesystem::remove_all(dir);
      if (dir != work("/index")) std::filesystem::create_directory(dir);
    }
    start(options);
    linear::GateHook hook;
    plan.in_thread = &yield_often;
    const linear::Tally tally = linear::run_rounds(
        plan, at(), [this] { return std::make_unique<linear::CoreCalls>(session()); });
    sum->operations += tally.operations;
    sum->met += tally.met;
    sum->checked += tally.checked;
    sum->undecided += tally.undecided;
    sum->making = sum->making + tally.making;
    sum->checking = sum->checking + tally.checking;
    if (tally.failed()) {
      printf("%s\n", tally.failure.c_str());
      fflush(nullptr);
      return 1;
    }
    // That costs as much as the rounds: of many sessions not each.
    const bool looks = plan.first_round / plan.rounds % 4 == 0;
    return is_tidy() && is_sound(options) && (!looks || stays(plan, options)) ? 0 : 1;
  }

  static void yield_often() {
    static thread_local linear::BeforeCall yields = [n = 0u](long, const char*) mutable {
      n = n * 1664525u + 1013904223u;
      if ((n >> 16) % kYieldsOften == 0) sched_yield();
    };
    linear::GateHook::set(&yields);
  }

  // A new session finds what this one has left.
  bool stays(const linear::Plan& plan, const Options& options) {
    linear::CoreCalls before(session());
    const std::vector<std::string> trees = linear::look_at_trees(plan, at(), before);
    start_again(options);
    linear::CoreCalls after(session());
    const std::vector<std::string> found = linear::look_at_trees(plan, at(), after);
    for (size_t i = 0; i < trees.size(); i++) {
      if (trees[i] == found[i]) continue;
      printf("seed %lu round %zu: a new session finds\n%sin the place of\n%s\n", plan.seed,
             static_cast<size_t>(plan.first_round) + i, found[i].c_str(), trees[i].c_str());
      fflush(nullptr);
      return false;
    }
    return true;
  }

  // As the launcher does where something is in the upper already.
  void start_again(const Options& options) {
    start(options);
    PlannedOverlay overlay;
    overlay.upper = upper();
    overlay.work = work();
    overlay.fresh_upper = false;
    Plan plan;
    plan.overlays.push_back(overlay);
    fill_session(plan, options.prefix, work("/ovlrun/session"));
  }

  // As `ovlrun check` says.
  bool is_sound(const Options& options) {
    const UpperSource source = {at(), upper(), work(), {lower()}, options.prefix};
    const CheckReport report = check_upper(source);
    for (const Finding& finding : report.findings) printf("%s\n", line_of(finding).c_str());
    for (const std::string& line : report.unchecked) printf("not checked: %s\n", line.c_str());
    fflush(nullptr);
    return report.findings.empty() && report.unchecked.empty();
  }

  bool is_tidy() {
    for (const auto& entry : std::filesystem::directory_iterator(work("/work"))) {
      const std::string n = entry.path().filename();
      if (n == "incompat" || n == "#whiteout") continue;
      if (session().state().kept_used != 0 && n[0] == '#') {
        unlink(entry.path().c_str());  // as the start of the next session does
        continue;
      }
      printf("left in the workdir: %s\n", n.c_str());
      fflush(nullptr);
      return false;
    }
    return true;
  }
};

TEST_F(Linear, ThreadsOfOneProcess) {
  linear::Plan plan;
  plan.threads = 3;
  run_all(plan, 6'000);
}

TEST_F(Linear, ProcessesWithThreads) {
  linear::Plan plan;
  plan.processes = 2;
  plan.threads = 2;
  run_all(plan, 6'000);
}

TEST_F(Linear, TwoTasksWithManyCalls) {
  linear::Plan plan;
  plan.processes = 2;
  plan.threads = 1;
  plan.calls_most = 16;
  run_all(plan, 6'000);
}

TEST_F(Linear, SixtyFourProcesses) {
  linear::Plan plan;
  plan.processes = 64;
  plan.threads = 1;
  plan.calls_most = 1;
  plan.rounds = 40;
  run_all(plan, 2'500);
}

TEST_F(Linear, SixtyFourProcessesThatMakeAndRemoveTheSameNames) {
  linear::Plan plan;
  plan.processes = 64;
  plan.threads = 1;
  plan.calls_most = 1;
  plan.rounds = 40;
  plan.few_names = true;
  run_all(plan, 2'500);
}

TEST_F(Linear, WithoutIndexAndMetacopy) {
  linear::Plan plan;
  plan.links = false;  // a copy-up breaks them
  Options options;
  options.index = options.metacopy = false;
  run_all(plan, 4'000, options);
}

TEST_F(Linear, HandlersOfSignalsMakeCallsInTheMiddleOfCalls) {
  linear::Plan plan;
  plan.threads = 2;
  plan.signals = 300;
  plan.storm = true;
  run_all(plan, 4'000);
}

TEST_F(Linear, ChildrenOfForkAndSharersOfMemoryInTheMiddle) {
#ifdef __SANITIZE_THREAD__
  start();
  GTEST_SKIP() << "ThreadSanitizer knows no children that share memory";
#endif
  linear::Plan plan;
  plan.threads = 3;
  plan.children = 20;
  run_all(plan, 2'500);
}

}  // namespace
}  // namespace ovl::testing
