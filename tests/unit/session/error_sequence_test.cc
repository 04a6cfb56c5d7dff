// Errors of writing back: what readers are told, in every order that the steps of several writers
// and readers can come in.
#include "core/session/error_sequence.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

namespace ovl {
namespace {

TEST(ErrorSequence, ReaderIsToldOnce) {
  ErrorSequence errors;
  auto reader = errors.sample();
  EXPECT_EQ(errors.check_and_advance(&reader), 0);
  errors.set(EIO);
  EXPECT_EQ(errors.check(reader), EIO);
  EXPECT_EQ(errors.check_and_advance(&reader), EIO);
  EXPECT_EQ(errors.check_and_advance(&reader), 0);
}

TEST(ErrorSequence, EachReaderIsTold) {
  ErrorSequence errors;
  auto a = errors.sample(), b = errors.sample();
  errors.set(ENOSPC);
  EXPECT_EQ(errors.check_and_advance(&a), ENOSPC);
  EXPECT_EQ(errors.check_and_advance(&b), ENOSPC);
  EXPECT_EQ(errors.check_and_advance(&a), 0);
  EXPECT_EQ(errors.check_and_advance(&b), 0);
}

TEST(ErrorSequence, SameErrorAgainIsTold) {
  ErrorSequence errors;
  auto reader = errors.sample();
  errors.set(EIO);
  EXPECT_EQ(errors.check_and_advance(&reader), EIO);
  errors.set(EIO);
  EXPECT_EQ(errors.check_and_advance(&reader), EIO);
  EXPECT_EQ(errors.check_and_advance(&reader), 0);
}

TEST(ErrorSequence, LaterReaderIsToldWhatNobodySaw) {
  ErrorSequence errors;
  errors.set(EIO);
  EXPECT_EQ(errors.unseen(), EIO);
  auto reader = errors.sample();
  EXPECT_EQ(errors.check_and_advance(&reader), EIO);
}

TEST(ErrorSequence, LaterReaderIsNotToldWhatSomebodySaw) {
  ErrorSequence errors;
  auto first = errors.sample();
  errors.set(EIO);
  EXPECT_EQ(errors.check_and_advance(&first), EIO);
  EXPECT_EQ(errors.unseen(), 0);
  auto later = errors.sample();
  EXPECT_EQ(errors.check_and_advance(&later), 0);
}

// What a mount of overlayfs wanted: to know of errors since it began, without taking the one from
// before from those who come later.
TEST(ErrorSequence, PeekTakesNothingFromOthers) {
  ErrorSequence errors;
  errors.set(EIO);
  const auto mount = errors.peek();
  EXPECT_EQ(errors.check(mount), 0);
  auto later = errors.sample();
  EXPECT_EQ(errors.check_and_advance(&later), EIO);
}

TEST(ErrorSequence, SameErrorAfterPeekIsAnother) {
  ErrorSequence errors;
  errors.set(EIO);
  const auto mount = errors.peek();
  errors.set(EIO);
  EXPECT_EQ(errors.check(mount), EIO);
}

// The two readers of the discussion: one remembers a value that nobody has seen; that the other one
// sees it is no new error.
TEST(ErrorSequence, AnotherReadersFlagIsNoError) {
  ErrorSequence errors;
  auto t2 = errors.sample();
  errors.set(EIO);
  const auto t1 = errors.peek();
  EXPECT_EQ(errors.check_and_advance(&t2), EIO);
  EXPECT_EQ(errors.check(t1), 0);
}

TEST(ErrorSequence, OneThatRemembersEverythingKeepsOnBeingTold) {
  ErrorSequence errors;
  const auto start = errors.peek();
  errors.set(EIO);
  EXPECT_EQ(errors.check(start), EIO);
  EXPECT_EQ(errors.check(start), EIO);
  EXPECT_EQ(errors.unseen(), EIO);
}

TEST(ErrorSequence, ThreadsAreToldOnce) {
  constexpr int kEach = 3, kRounds = 500;
  for (int round = 0; round < kRounds; round++) {
    ErrorSequence errors;
    ErrorSequence::Sample since[kEach];
    int told[kEach] = {};
    for (auto& sample : since) sample = errors.sample();
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kEach; i++) {
        threads.emplace_back([&] { errors.set(EIO); });
        threads.emplace_back([&, i] {
          for (int k = 0; k < kEach; k++) told[i] += errors.check_and_advance(&since[i]) != 0;
        });
      }
    }
    for (int i = 0; i < kEach; i++) {
      told[i] += errors.check_and_advance(&since[i]) != 0;
      EXPECT_GE(told[i], 1);
      EXPECT_LE(told[i], kEach);
      EXPECT_EQ(errors.check_and_advance(&since[i]), 0);
    }
    EXPECT_EQ(errors.unseen(), 0);
  }
}

// --- every order ---

// A word whose accesses are steps of a task. An operation is run from its beginning for each step:
// what it was answered before it is answered again, then comes one new access, and what it does
// behind that counts for nothing.
struct Access {
  std::vector<uint64_t> answers;  // of the operation that goes on
  size_t next = 0;
  bool stepped = false;  // the new access has been made
  bool beyond = false;   // the operation wanted another one

  void begin() {
    next = 0;
    stepped = beyond = false;
  }
};
Access* current = nullptr;
uint64_t memory;

class SteppedWord {
 public:
  SteppedWord(uint64_t) {}  // NOLINT(google-explicit-constructor): as std::atomic
  uint64_t load(std::memory_order) const {
    if (current->next < current->answers.size()) return current->answers[current->next++];
    if (current->stepped) {
      current->beyond = true;
      return 0;
    }
    return answer();
  }
  bool compare_exchange_strong(uint64_t& old, uint64_t wanted, std::memory_order) {
    uint64_t found;
    if (current->next < current->answers.size()) {
      found = current->answers[current->next++];
    } else if (current->stepped) {
      current->beyond = true;
      return true;
    } else {
      found = answer();
      if (found == old) memory = wanted;
    }
    if (found == old) return true;
    old = found;
    return false;
  }

 private:
  static uint64_t answer() {
    current->stepped = true;
    current->answers.push_back(memory);
    current->next++;
    return memory;
  }
};
using SteppedSequence = BasicErrorSequence<SteppedWord>;

// The word without what readers did to it: the errors alone.
uint64_t errors_of(uint64_t word) { return word & ~uint64_t{4096 + 8192}; }
int errno_of(uint64_t word) { return static_cast<int>(word & 4095); }

enum class Kind : uint8_t { kSetter, kSampler /* advances */, kPeeker /* only checks */ };

struct Task {
  Kind kind;
  int error = 0;               // of a setter
  int operation = 0;           // how many it has done
  uint64_t since = 0;          // of a reader
  uint64_t began = 0;          // the word when the reader began
  std::vector<uint64_t> told;  // errors that a reader was told
  Access access;

  int operations() const { return kind == Kind::kSetter ? 1 : kind == Kind::kSampler ? 3 : 2; }
  bool done() const { return operation == operations(); }
};

struct State {
  uint64_t word = 0;
  std::vector<Task> tasks;

  // Which of several tasks of one kind is where makes no difference.
  std::string key() const {
    std::vector<std::string> parts;
    for (const Task& task : tasks) {
      std::string part;
      const auto put = [&](uint64_t value) {
        part.append(reinterpret_cast<const char*>(&value), sizeof value);
      };
      put(static_cast<uint64_t>(task.kind));
      put(static_cast<uint64_t>(task.error));
      put(static_cast<uint64_t>(task.operation));
      put(task.since);
      put(task.began);
      put(task.told.size());
      for (uint64_t error : task.told) put(error);
      for (uint64_t answer : task.access.answers) put(answer);
      parts.push_back(std::move(part));
    }
    std::sort(parts.begin(), parts.end());
    std::string key(reinterpret_cast<const char*>(&word), sizeof word);
    for (const std::string& part : parts) key += std::to_string(part.size()) + ":" + part;
    return key;
  }
};

// One access of this task.
void step(State& state, Task& task) {
  memory = state.word;
  current = &task.access;
  task.access.begin();
  SteppedSequence errors;
  uint64_t since = task.since;
  int told = 0;
  if (task.kind == Kind::kSetter)
    errors.set(task.error);
  else if (task.operation == 0)
    since = task.kind == Kind::kSampler ? errors.sample() : errors.peek();
  else if (task.kind == Kind::kSampler)
    told = errors.check_and_advance(&since);
  else
    told = errors.check(since);
  state.word = memory;
  if (task.access.beyond) return;
  if (task.kind != Kind::kSetter && task.operation == 0) task.began = state.word;
  if (told != 0) {
    EXPECT_EQ(told, errno_of(task.kind == Kind::kSampler ? since : task.access.answers.back()));
    task.told.push_back(errors_of(task.kind == Kind::kSampler ? since : state.word));
  }
  task.since = since;
  task.operation++;
  task.access.answers.clear();
}

// What may be said when all have done what they do.
class Judge {
 public:
  explicit Judge(const State& state) : state_(state) {}

  void judge() {
    const uint64_t last = errors_of(state_.word);
    std::set<uint64_t> told;
    for (const Task& task : state_.tasks)
      if (task.kind == Kind::kSampler) told.insert(task.told.begin(), task.told.end());
    SCOPED_TRACE("word " + std::to_string(state_.word));
    EXPECT_EQ(later_reader(), told.count(last) != 0 ? 0 : errno_of(last))
        << "a reader that comes later";
    for (const Task& task : state_.tasks) {
      if (task.kind == Kind::kSampler) sampler(task);
      if (task.kind == Kind::kPeeker) peeker(task);
    }
  }

 private:
  // Runs one operation on the word as it is, and leaves it so.
  template <class Act>
  int asked(Act act) {
    const uint64_t word = state_.word;
    ErrorSequence errors;
    static_assert(sizeof errors == sizeof word);
    memcpy(static_cast<void*>(&errors), &word, sizeof word);
    return act(errors);
  }
  int later_reader() {
    return asked([](ErrorSequence& errors) {
      auto reader = errors.sample();
      return errors.check_and_advance(&reader);
    });
  }
  void sampler(const Task& task) {
    const uint64_t last = errors_of(state_.word);
    std::vector<uint64_t> told = task.told;
    uint64_t since = task.since;
    const int more = asked([&](ErrorSequence& errors) {
      const int told_now = errors.check_and_advance(&since);
      EXPECT_EQ(errors.check_and_advance(&since), 0) << "twice";
      return told_now;
    });
    if (more != 0) told.push_back(errors_of(since));
    const bool owed =
        errors_of(task.began) != last || (errno_of(task.began) != 0 && (task.began & 4096) == 0);
    EXPECT_EQ(!told.empty(), owed);
    if (!told.empty()) {
      EXPECT_EQ(told.back(), last) << "the last error";
    }
    const std::set<uint64_t> each(told.begin(), told.end());
    EXPECT_EQ(each.size(), told.size()) << "one error twice";
  }
  void peeker(const Task& task) {
    const uint64_t last = errors_of(state_.word);
    const int now = asked([&](ErrorSequence& errors) { return errors.check(task.since); });
    EXPECT_EQ(now, errors_of(task.began) == last ? 0 : errno_of(last));
  }
  const State& state_;
};

// Returns the number of different states.
size_t explore(const State& first) {
  std::unordered_set<std::string> known = {first.key()};
  std::vector<State> todo = {first};
  while (!todo.empty() && !::testing::Test::HasFailure()) {
    const State state = std::move(todo.back());
    todo.pop_back();
    bool all_done = true;
    for (size_t i = 0; i < state.tasks.size(); i++) {
      if (state.tasks[i].done()) continue;
      all_done = false;
      State next = state;
      step(next, next.tasks[i]);
      if (known.insert(next.key()).second) todo.push_back(std::move(next));
    }
    if (all_done) Judge(state).judge();
  }
  return known.size();
}

struct Cast {
  std::vector<int> setters;
  std::vector<Kind> watchers;
};

class EveryOrder : public ::testing::TestWithParam<Cast> {};

TEST_P(EveryOrder, TellsEachReaderOnce) {
  State first;
  for (int error : GetParam().setters) first.tasks.push_back({Kind::kSetter, error});
  for (Kind kind : GetParam().watchers) first.tasks.push_back({kind});
  RecordProperty("states", static_cast<int>(explore(first)));
}

std::vector<Cast> casts() {
  std::vector<Cast> all;
  const std::vector<std::vector<int>> setters = {
      {EIO}, {EIO, EIO}, {EIO, ENOSPC}, {EIO, EIO, EIO}, {EIO, EIO, ENOSPC}};
  for (const auto& errors : setters)
    for (size_t watchers = 1; watchers <= 3; watchers++)
      for (size_t peekers = 0; peekers <= watchers; peekers++) {
        std::vector<Kind> kinds(watchers, Kind::kSampler);
        std::fill_n(kinds.begin(), peekers, Kind::kPeeker);
        all.push_back({errors, kinds});
      }
  return all;
}

std::string cast_name(const ::testing::TestParamInfo<Cast>& info) {
  std::string name;
  for (int error : info.param.setters) name += error == EIO ? "Eio" : "Enospc";
  for (Kind kind : info.param.watchers) name += kind == Kind::kPeeker ? "Peeker" : "Sampler";
  return name;
}

INSTANTIATE_TEST_SUITE_P(ErrorSequence, EveryOrder, ::testing::ValuesIn(casts()), cast_name);

}  // namespace
}  // namespace ovl
