// One call is stopped before each of its system calls in turn, while others are made from beginning
// to end (or until they wait for a lock that the stopped one holds); then it goes on. Whatever they
// are told, some order explains it.
#include <linux/futex.h>
#include <sys/syscall.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/unit/linear/core_calls.h"
#include "tests/unit/linear/gate_hook.h"
#include "tests/unit/linear/generate.h"
#include "tests/unit/linear/linearize.h"
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

using linear::Call;
using linear::Kind;

Call call_of(Kind kind, const char* path, const char* to = "", int value = 0) {
  Call call;
  call.kind = kind;
  call.path = linear::parse_path(path);
  call.to = linear::parse_path(to);
  call.value = static_cast<uint16_t>(value);
  return call;
}

// What is stopped, and what the others do meanwhile: on one name, its directory, its other link,
// the name that it is moved to. The trees are those of generate.cc, in their order.
const Call kStopped[] = {
    call_of(Kind::kOpenWrite, "/d/p"),
    call_of(Kind::kOpenTruncate, "/d/p"),
    call_of(Kind::kOpenTruncate, "/q"),
    call_of(Kind::kOpenCreate, "/d/p", "", 0601),
    call_of(Kind::kOpenRead, "/d/p"),
    call_of(Kind::kChmod, "/d/p", "", 0701),
    call_of(Kind::kChmod, "/q", "", 0701),
    call_of(Kind::kChmod, "/d", "", 0701),
    call_of(Kind::kTruncate, "/d/p", "", 50),
    call_of(Kind::kStat, "/d/p"),
    call_of(Kind::kStat, "/q"),
    call_of(Kind::kList, "/d"),
    call_of(Kind::kUnlink, "/d/p"),
    call_of(Kind::kUnlink, "/q"),
    call_of(Kind::kCreate, "/e/p", "", 0602),
    call_of(Kind::kCreate, "/d/p", "", 0602),
    call_of(Kind::kMkdir, "/e/d", "", 0703),
    call_of(Kind::kRmdir, "/e"),
    call_of(Kind::kRename, "/d/p", "/e/p"),
    call_of(Kind::kRename, "/d/p", "/p"),
    call_of(Kind::kRename, "/q", "/d/p"),
    call_of(Kind::kRename, "/d", "/e"),
    call_of(Kind::kRename, "/d", "/e/d"),
    call_of(Kind::kExchange, "/d/p", "/e"),
    call_of(Kind::kExchange, "/p", "/d/p"),
    call_of(Kind::kLink, "/d/p", "/e/p"),
    call_of(Kind::kLink, "/q", "/e/p"),
    call_of(Kind::kTruncate, "/d/p", "", 0),
    call_of(Kind::kTruncate, "/q", "", 0),
};
constexpr size_t kReadOfFile = 4, kStatOfFile = 9;
const std::vector<Call> kMeanwhile[] = {
    {call_of(Kind::kOpenWrite, "/d/p")},
    {call_of(Kind::kOpenTruncate, "/d/p")},
    {call_of(Kind::kChmod, "/d/p", "", 0704)},
    {call_of(Kind::kTruncate, "/d/p", "", 60)},
    {call_of(Kind::kStat, "/d/p"), call_of(Kind::kTruncate, "/d/p", "", 60)},
    {call_of(Kind::kUnlink, "/d/p")},
    {call_of(Kind::kUnlink, "/d/p"), call_of(Kind::kCreate, "/d/p", "", 0605)},
    {call_of(Kind::kUnlink, "/d/p"), call_of(Kind::kMkdir, "/d/p", "", 0705)},
    {call_of(Kind::kRename, "/d/p", "/e/p")},
    {call_of(Kind::kRename, "/d/p", "/e/p"), call_of(Kind::kUnlink, "/e/p")},
    {call_of(Kind::kOpenWrite, "/d/p"), call_of(Kind::kRename, "/d/p", "/e/p"),
     call_of(Kind::kUnlink, "/e/p")},
    {call_of(Kind::kRename, "/p", "/d/p")},
    {call_of(Kind::kRename, "/q", "/d/p")},
    {call_of(Kind::kExchange, "/d/p", "/e")},
    {call_of(Kind::kExchange, "/d/p", "/p")},
    {call_of(Kind::kLink, "/d/p", "/e/p")},
    {call_of(Kind::kRename, "/d", "/e")},
    {call_of(Kind::kRename, "/d", "/e"), call_of(Kind::kMkdir, "/d", "", 0706),
     call_of(Kind::kCreate, "/d/p", "", 0606)},
    {call_of(Kind::kRename, "/e", "/d/e/e")},
    {call_of(Kind::kExchange, "/d", "/e")},
    {call_of(Kind::kMkdir, "/e/d", "", 0707), call_of(Kind::kRmdir, "/e/d"),
     call_of(Kind::kRmdir, "/e")},
    {call_of(Kind::kCreate, "/e/p", "", 0607)},
    {call_of(Kind::kUnlink, "/q")},
    {call_of(Kind::kUnlink, "/d/q"), call_of(Kind::kUnlink, "/q")},
    {call_of(Kind::kOpenTruncate, "/d/q")},
    {call_of(Kind::kChmod, "/d/q", "", 0704)},
};
// What has been done before: nothing; all is in the upper; metacopies that have moved, over what
// was there; whiteouts.
const std::vector<Call> kBefore[] = {
    {},
    {call_of(Kind::kOpenWrite, "/d/p"), call_of(Kind::kOpenWrite, "/q"),
     call_of(Kind::kChmod, "/e", "", 0710)},
    {call_of(Kind::kExchange, "/d/p", "/p"), call_of(Kind::kChmod, "/d/q", "", 0711)},
    {call_of(Kind::kCreate, "/e/p", "", 0612), call_of(Kind::kUnlink, "/e/p"),
     call_of(Kind::kRename, "/d", "/e"), call_of(Kind::kRename, "/e", "/d"),
     call_of(Kind::kMkdir, "/e", "", 0713)},
};

// Two threads, one at a time.
class Turns {
 public:
  // The stopped one is before its system call number `at`; waits there until the other has ended
  // or waits for a lock.
  void stop_at(int at, long, const char*) {
    if (count_++ != at) return;
    std::unique_lock lock(mutex_);
    reached_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return other_pauses_; });
  }
  void ended() {
    const std::lock_guard lock(mutex_);
    reached_ = true;
    changed_.notify_all();
  }
  void wait_for_stop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return reached_; });
  }
  void other_pauses() {
    const std::lock_guard lock(mutex_);
    other_pauses_ = true;
    changed_.notify_all();
  }
  int count() const { return count_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool reached_ = false, other_pauses_ = false;
  int count_ = 0;
};

class Stopped : public NamesTest, public ::testing::WithParamInterface<size_t> {
 protected:
  linear::Answer record(const Call& call, int task) {
    linear::CoreCalls calls(session());
    linear::Event e;
    e.call = call;
    e.task = static_cast<uint8_t>(task);
    e.invoked = clock_++;
    e.answer = linear::perform(calls, at(tree_).c_str(), call);
    e.returned = clock_++;
    const std::lock_guard lock(mutex_);
    history_.push_back(e);
    return e.answer;
  }

  void look(linear::Path path) {
    Call call;
    call.path = path;
    call.kind = Kind::kList;
    const linear::Answer dir = record(call, 0);
    for (uint8_t i = 0; i < linear::kNames; i++) {
      if ((dir.listed >> i & 1) == 0) continue;
      call.path = path;
      call.path.name[call.path.depth++] = i;
      call.kind = Kind::kStat;
      const linear::Answer there = record(call, 0);
      call.kind = Kind::kOpenRead;
      if (there.facts.type == linear::Type::kFile)
        record(call, 0);
      else if (call.path.depth < linear::kDeepest)
        look(call.path);
    }
  }

  // False: the call has fewer system calls.
  bool run_stopped(const Call& stopped, const std::vector<Call>& meanwhile,
                   const std::vector<Call>& before, int stop) {
    clock_ = 0;
    history_.clear();
    linear::CoreCalls calls(session());
    const linear::Tree tree = linear::first_tree(calls, at(tree_), 0, true);
    for (const Call& call : before) record(call, 0);
    Turns turns;
    std::thread one([&] {
      linear::BeforeCall hook = [&](long number, const char* path) {
        turns.stop_at(stop, number, path);
      };
      linear::GateHook::set(&hook);
      record(stopped, 1);
      linear::GateHook::set(nullptr);
      turns.ended();
    });
    std::thread other([&] {
      turns.wait_for_stop();
      // A lock that is taken: whose it is has to go on.
      linear::BeforeCall hook = [&](long number, const char*) {
        if (number == SYS_futex) turns.other_pauses();
      };
      linear::GateHook::set(&hook);
      for (const Call& call : meanwhile) record(call, 2);
      linear::GateHook::set(nullptr);
      turns.other_pauses();
    });
    one.join();
    other.join();
    for (const Call& call : after_) record(call, 0);
    look(linear::Path());
    pairs_++;
    if (linear::linearize(tree, history_) != linear::Verdict::kExplained) {
      ADD_FAILURE() << "stopped before system call " << stop << " of " << to_text(stopped) << ":\n"
                    << to_text(linear::shortest_refused(tree, history_)) << "of\n"
                    << to_text(history_);
      failures_++;
    }
    return turns.count() > stop;
  }

  // Another tree of the lower for each: they are cheaper than sessions.
  static constexpr int kTrees = 150;
  void next_tree() {
    if (next_ == kTrees) {
      for (const std::string& dir : {upper(), work("/work"), work("/index")}) {
        std::filesystem::remove_all(dir);
        if (dir != work("/index")) std::filesystem::create_directory(dir);
      }
      start();
      next_ = 0;
    }
    tree_ = "/r" + std::to_string(next_++);
  }

  std::mutex mutex_;
  std::atomic<uint64_t> clock_ = 0;
  linear::History history_;
  std::vector<Call> after_;  // so that all can be looked at
  std::string tree_;
  int next_ = 0, pairs_ = 0, failures_ = 0;
};

// By what is stopped. With OVLRUN_CYCLES at each call, and after each of kBefore; else at some.
TEST_P(Stopped, AtEachSystemCallWhileOthersMakeWholeCalls) {
  for (int i = 0; i < kTrees; i++) {
    make_lower_dir("/r" + std::to_string(i));
    linear::make_tree(lower("/r" + std::to_string(i)), 0, true);
  }
  umask(0);
  start();
  const linear::GateHook hook;
  const bool all = getenv("OVLRUN_CYCLES") != nullptr;
  size_t which = GetParam();
  for (const std::vector<Call>& meanwhile : kMeanwhile) {
    for (size_t k = 0; k < (all ? std::size(kBefore) : 1); k++) {
      const std::vector<Call>& before = kBefore[which++ % std::size(kBefore)];
      // Long ones copy data or look at many names.
      const int step = all ? 1 : 12;
      for (int stop = static_cast<int>(which) % step;; stop += step) {
        next_tree();
        if (!run_stopped(kStopped[GetParam()], meanwhile, before, stop)) break;
        if (failures_ > 3) return;
      }
    }
  }
  printf("%d times\n", pairs_);
}

// What another name's file brings along, marks or no data yet, is the first of its kind in the
// session: nothing has told readers to look out for it.
class StoppedFirst : public Stopped {
 protected:
  void at_each(const Call& stopped, const char* comes, const std::vector<Call>& before) {
    for (int stop = 0;; stop++) {
      next_ = kTrees;
      next_tree();
      if (!run_stopped(stopped, {call_of(Kind::kRename, comes, "/d/p")}, before, stop)) break;
    }
    EXPECT_GT(pairs_, 3);
  }
};

TEST_P(StoppedFirst, OfItsKindComesUnderTheName) {
  make_lower_dir("/r0");
  linear::make_tree(lower("/r0"), 0, true);
  umask(0);
  start();
  const linear::GateHook hook;
  const Call& stopped = kStopped[GetParam()];
  const Call bring = call_of(Kind::kOpenWrite, "/d/p");
  at_each(stopped, "/p", {bring});  // a metacopy
  if (stopped.kind != Kind::kStat) return;
  after_ = {call_of(Kind::kChmod, "/d/p", "", 0644)};
  const Call other = call_of(Kind::kCreate, "/e/p", "", 0644);
  at_each(stopped, "/e/p", {bring, other, call_of(Kind::kChmod, "/e/p", "", 0011)});
  at_each(stopped, "/e/p", {bring, other, call_of(Kind::kChmod, "/d/p", "", 0011)});
}

std::string name_of(const ::testing::TestParamInfo<size_t>& info) {
  std::string name = std::to_string(info.param) + "_" + to_text(kStopped[info.param]);
  for (char& c : name)
    if (isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Calls, Stopped, ::testing::Range(size_t{0}, std::size(kStopped)), name_of);
INSTANTIATE_TEST_SUITE_P(Calls, StoppedFirst, ::testing::Values(kStatOfFile, kReadOfFile), name_of);

}  // namespace
}  // namespace ovl::testing
