// Every change in every situation (situations.cc, acts.cc) is killed at each of its system calls,
// and has each of them fail. Afterwards programs see the tree as it was before or as it is after,
// entirely; who was told of an error finds it as before; nobody is left waiting for a lock, no
// descriptor open, no temporary lying about; the lower has not changed.
//
// By default each call fails in one way, and of the pairs of situation and change one in kPart is
// looked at; OVLRUN_SEED chooses others. With OVLRUN_FAULTS=pairs all of them are, with
// OVLRUN_FAULTS=all each call fails in all ways, too.
#include <sys/syscall.h>
#include <sys/wait.h>

#include <set>
#include <sstream>

#include "core/caller/followed.h"
#include "launcher/session/leftovers.h"
#include "launcher/upper/check.h"
#include "tests/unit/faults/disturbance.h"
#include "tests/unit/faults/scene.h"

namespace ovl::testing {
namespace {

constexpr size_t kPart = 24;
constexpr int kErrors[] = {ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, EINTR, EACCES};

struct Case {
  const Situation* situation;
  Kind kind;
};

const char* name_of(Kind kind) {
  switch (kind) {
    case kFile:
      return "file";
    case kFull:
      return "directory";
    case kHollow:
      return "empty_directory";
    case kSymlink:
      return "symlink";
    case kFifo:
      return "fifo";
    default:
      return "name";
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Situation& situation : situations())
    for (Kind kind : {kFile, kFull, kHollow, kSymlink, kFifo, kName})
      if ((situation.kinds & kind) != 0) all.push_back(Case{&situation, kind});
  return all;
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.situation->name << " " << name_of(c.kind);
}

unsigned long number_in(const char* variable, unsigned long otherwise) {
  const char* const text = getenv(variable);
  return text == nullptr ? otherwise : strtoul(text, nullptr, 10);
}

bool all_pairs() { return getenv("OVLRUN_FAULTS") != nullptr; }
bool all_ways() { return all_pairs() && getenv("OVLRUN_FAULTS") == std::string("all"); }

int open_descriptors() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    count += !entry.path().empty();
  return count;
}

// What a child did. A descriptor in its own table is nobody else's.
template <class Function>
long in_child(Function function) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // whoever waits for a lock that nobody gives back
    _exit(static_cast<int>(-function()));
  }
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? -WEXITSTATUS(status) : -1000 - WTERMSIG(status);
}

// The lines that only one of two trees has.
std::string difference(const std::string& now, const std::string& wanted) {
  const auto lines = [](const std::string& text) {
    std::set<std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.insert(line);
    return all;
  };
  const std::set<std::string> here = lines(now), there = lines(wanted);
  std::string text;
  for (const std::string& line : here)
    if (there.count(line) == 0) text += "  is     " + line + "\n";
  for (const std::string& line : there)
    if (here.count(line) == 0) text += "  should " + line + "\n";
  return text;
}

// What is not as it should be, and why that is accepted.
enum Accepted : unsigned {
  kErrorAfter = 1,      // an error is told though it was done
  kOtherError = 2,      // another error is told
  kDirectoryTimes = 4,  // directories have new times of change
  kLinkCounts = 8,      // counted are names that the next start removes
  kPath = 16,           // one path
  kBetween = 32,        // something else is seen than before and after
};
struct Known {
  const char* situation;  // what its name begins with
  const char* act;
  unsigned accepted;
  bool killed;
  int error;  // 0: any
  const char* path;
  const char* why;
};
const Known kKnown[] = {
    {"", "open_and_truncate", kErrorAfter, false, 0, "",
     "the copy is empty from its first moment, as the kernel's overlayfs makes it; what may fail "
     "behind that is a look at what was just made"},
    {"", "open_to_read_and_truncate", kErrorAfter, false, 0, "", "likewise"},
    {"", "creat", kErrorAfter, false, 0, "", "likewise"},
    {"", "truncate_", kErrorAfter, false, 0, "",
     "likewise; and a look at a file that has lost its setuid bit by that"},
    {"MetacopyWithAttributes", "creat", kBetween, true, 0, "",
     "what is emptied has lost its setuid bit and capabilities before"},
    {"MetacopyWithAttributes", "open_and_truncate", kBetween, true, 0, "", "likewise"},
    {"MetacopyWithAttributes", "open_to_read_and_truncate", kBetween, true, 0, "", "likewise"},
    {"MetacopyWithAttributes", "truncate_", kBetween, true, 0, "", "likewise"},
    {"", "link_", kLinkCounts, true, 0, "",
     "over a whiteout a link comes by way of the workdir, where it is a name too"},
    {"", "link_of_descriptor", kOtherError, false, 0, "",
     "a descriptor that can't be asked for is taken for one from outside: EXDEV"},
    {"", "link_unnamed_file", kOtherError, false, 0, "", "likewise"},
    {"", "rename_over_link", kPath, false, EACCES, "/twin",
     "what may not be read can be replaced, and its other names go on with the lower's count"},
    {"LinkedWithoutIndex", "", kPath, false, 0, "/d/x",
     "the first step of a change is a copy that has left its links"},
    {"LinkedWithoutIndex", "", kPath, true, 0, "/d/x", "likewise"},
    {"LinkedWithoutIndex", "exchange_with_link", kPath, false, 0, "/e/twin", "likewise"},
    {"LinkedWithoutIndex", "exchange_with_link", kPath, true, 0, "/e/twin", "likewise"},
    {"ReadByOthers", "unlink", kLinkCounts, true, 0, "",
     "what stays for readers has a name in the workdir before it loses its own"},
    {"", "rename_over_emptied_directory", kOtherError, false, EACCES, "",
     "one that can't be read is not known to be empty: ENOTEMPTY"},
    {"EmptiedOfLowers", "rmdir", kOtherError, false, EACCES, "", "likewise"},
    {"Linked", "unlink", kLinkCounts, false, EACCES, "", "likewise"},
    {"", "rename_over_emptied_directory", kPath | kDirectoryTimes, true, 0, "/e/full",
     "a directory that is to be replaced, and holds whiteouts, is an empty new one by then, as on "
     "the kernel's overlayfs (ovl_clear_empty())"},
    {"", "rename_over_emptied_directory", kPath | kDirectoryTimes, false, 0, "/e/full", "likewise"},
    {"InLowerWithFileWhiteouts", "rename", kDirectoryTimes, false, 0, "",
     "there a whiteout stands where the new name comes, and is taken away again"},
    {"EmptiedOfLowersWithFileWhiteouts", "rename", kDirectoryTimes, false, 0, "", "likewise"},
    {"InLowerWithFileWhiteouts", "rename_over", kBetween | kLinkCounts, true, 0, "",
     "no one call leaves a file as a whiteout and takes another's place (names/move.cc)"},
    {"EmptiedOfLowersWithFileWhiteouts", "rename_over", kBetween | kLinkCounts, true, 0, "",
     "likewise"},
    {"", "f", kOtherError, false, 0, "",
     "a descriptor on a lower's file that was renamed, and whose name can't be looked for: EROFS"},
    {"", "chattr", kOtherError, false, 0, "", "likewise"},
    {"", "set_access_list", kBetween, true, 0, "",
     "an ordinary user's list and the mode that is recorded beside it are two attributes"},
};

// What went wrong once is looked at in each run.
constexpr struct {
  const char *situation, *act;
} kAlways[] = {
    {"Metacopy", "open_to_read_and_write"},
    {"Metacopy", "open_and_truncate"},
    {"MetacopyWithAttributes", "truncate_longer"},
    {"RenamedAcross", "truncate_to_nothing"},
    {"InLower", "open_and_truncate"},
    {"InLower", "chmod"},
    {"InLower", "set_access_list"},
    {"InLower", "mkdir_in_it"},
    {"InLowerWithFileWhiteouts", "rename_over_lower"},
    {"LinkedAndTouched", "rename_beside"},
    {"CopiedWithAttributes", "chown"},
};
bool is_always(const Situation& situation, const Act& act) {
  for (const auto& one : kAlways)
    if (situation.name == std::string(one.situation) && act.name == std::string(one.act))
      return true;
  return false;
}

// What is accepted of all that is known.
struct Tolerance {
  unsigned accepted = 0;
  std::set<std::string> paths;
  bool has(Accepted one) const { return (accepted & one) != 0; }

  Tolerance(const Situation& situation, const Act& act, bool killed, int error) {
    for (const Known& known : kKnown) {
      const auto begins = [](const char* text, const char* with) {
        return strncmp(text, with, strlen(with)) == 0;
      };
      if (!begins(situation.name, known.situation) || !begins(act.name, known.act) ||
          known.killed != killed || (known.error != 0 && known.error != error))
        continue;
      accepted |= known.accepted;
      if ((known.accepted & kPath) != 0) paths.insert(known.path);
    }
    // Where something is copied up its directory gets its times back in a step of its own.
    if (killed) accepted |= kDirectoryTimes;
  }

  std::string of(const Tree& tree) const {
    if (accepted == 0) return tree.exact;
    std::istringstream in(has(kDirectoryTimes) ? tree.any : tree.exact);
    std::string text;
    for (std::string line; std::getline(in, line);) {
      if (has(kPath) && paths.count(line.substr(0, line.find(' '))) != 0) continue;
      const size_t links = line.find(" links ");
      if (has(kLinkCounts) && links != std::string::npos)
        line.erase(links, line.find(' ', links + 7) - links);
      text += line + "\n";
    }
    return text;
  }
};

bool stops_at_first() { return number_in("OVLRUN_FAULT_GO_ON", 0) == 0; }

class Fault : public Scene, public ::testing::WithParamInterface<Case> {
 protected:
  void TearDown() override { close_all(); }  // what is left over is asked after each disturbance

  void fill() {
    kind = GetParam().kind;
    make_lower_dir("/d/sub");
    make_lower_dir("/e/empty");
    make_lower_dir("/e/void");
    make_lower_dir("/e/full");
    make_lower_dir("/g");
    write_file(lower("/f"), "f");
    write_file(lower("/d/other"), "other");
    for (const char* name : {"/e/there", "/e/gone", "/e/absent", "/e/full/in", "/e/twin"})
      write_file(lower(name), name);
    ASSERT_EQ(::link(lower("/e/twin").c_str(), lower("/twin").c_str()), 0);
    if (GetParam().situation->fill != nullptr)
      GetParam().situation->fill(*this);
    else
      make_real(lower("/d/x"));
    for (int i = 0; i < GetParam().situation->options.lowers; i++) give_old_times(lower("", i));
  }

  // An empty upper and a new session; then what the situation and the act want.
  void reset(const Act& act) {
    close_all();
    std::filesystem::remove_all(work("/index"));
    std::filesystem::remove_all(work("/ovlrun/beside"));
    for (const std::string& top : {upper(), work("/work")}) {
      std::filesystem::remove_all(top);
      std::filesystem::create_directory(top);
    }
    start(GetParam().situation->options);
    local_forget_followed();
    GetParam().situation->prepare(*this);
    if (act.before != nullptr) act.before(*this);
    give_old_times(upper());
  }

  // The next session over what is there.
  void restart() {
    close_all();
    remove_leftovers(work());
    start(GetParam().situation->options);
  }

  std::string temporaries() const {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(work("/work"))) {
      const std::string n = entry.path().filename();
      if (n != "incompat" && n != "#whiteout") all += n + " ";
    }
    return all;
  }

  bool go_on() const { return !HasFailure() || !stops_at_first(); }
  void study(const Act& act, size_t turn);
  void kill_at(const Act& act, int n, bool* reached);
  void fail_at(const Act& act, int n, int error, bool* reached);
  void is_done_by(const Act& act, const Tolerance& tolerance, bool child);
  void holds_no_lock(bool child);
  void is_sound(const Tolerance& tolerance);

  Tree before_, after_;
  unsigned long disturbances_ = 0;
};

// It can be done afterwards, by another process.
void Fault::is_done_by(const Act& act, const Tolerance& tolerance, bool child) {
  const auto again = [&] { return act.run(*this); };
  EXPECT_EQ(child ? in_child(again) : again(), 0);
  EXPECT_EQ(difference(tolerance.of(tree()), tolerance.of(after_)), "");
}

// `ovlrun check` finds nothing that is wrong. What a kill leaves may be there, and goes by a
// repair.
void Fault::is_sound(const Tolerance& tolerance) {
  std::vector<std::string> lowers;
  for (int i = 0; i < GetParam().situation->options.lowers; i++) lowers.push_back(lower("", i));
  const UpperSource source{at(), upper(), work(), lowers};
  const std::vector<Finding> findings = check_upper(source).findings;
  for (const Finding& finding : findings)
    EXPECT_EQ(finding.severity(), Severity::kNote) << line_of(finding);
  if (findings.empty()) return;
  const std::string before = tolerance.of(tree());
  repair(source, findings);
  for (const Finding& finding : check_upper(source).findings) ADD_FAILURE() << line_of(finding);
  EXPECT_EQ(difference(tolerance.of(tree()), before), "")
      << "a repair changes nothing that is seen";
}

// Another process does something else in the same places.
void Fault::holds_no_lock(bool child) {
  const auto probe = [&]() -> long {
    for (const std::string& top : {x.substr(0, x.rfind('/')), std::string("/e")}) {
      if (!there(top) && !top.empty()) continue;
      if (const long r = make_dir(top + "/probe"); r != 0) return r;
      if (const long r = remove_dir(top + "/probe"); r != 0) return r;
    }
    return 0;
  };
  EXPECT_EQ(child ? in_child(probe) : probe(), 0);
}

void Fault::kill_at(const Act& act, int n, bool* reached) {
  reset(act);
  const pid_t child = fork();
  if (child == 0) {
    Disturbance kill{Disturbance::How::kKill, n};
    const Disturbed disturbed(&kill);
    act.run(*this);
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  *reached = WIFSIGNALED(status);
  if (!*reached) return;
  const Tolerance tolerance(*GetParam().situation, act, true, 0);
  const std::string now = tolerance.of(tree());
  const std::string before = tolerance.of(before_), after = tolerance.of(after_);
  EXPECT_TRUE(now == before || now == after || tolerance.has(kBetween))
      << "not as before:\n"
      << difference(now, before) << "nor as after:\n"
      << difference(now, after);
  if (now == before && now != after) is_done_by(act, tolerance, false);
  holds_no_lock(false);
  const std::string then = tolerance.of(tree());
  restart();
  EXPECT_EQ(difference(tolerance.of(tree()), then), "") << "the next session sees the same";
  EXPECT_EQ(temporaries(), "");
  is_sound(tolerance);
}

void Fault::fail_at(const Act& act, int n, int error, bool* reached) {
  reset(act);
  const int open_before = open_descriptors();
  Disturbance failure{Disturbance::How::kFail, n, error};
  long result;
  {
    const Disturbed disturbed(&failure);
    result = act.run(*this);
  }
  *reached = failure.reached;
  if (!*reached) return;
  SCOPED_TRACE(::testing::Message() << "system call " << failure.number << " gave "
                                    << strerror(error) << ", the operation " << result);
  EXPECT_EQ(open_descriptors(), open_before) << "descriptors are closed";
  if (result != 0 && !cleans_up(failure.number) && session().state().kept_used == 0) {
    EXPECT_EQ(temporaries(), "") << "its room is free at once";
  }
  Tolerance tolerance(*GetParam().situation, act, false, error);
  // What can't be put back is told, but what was done stays.
  if (failure.number == SYS_utimensat || cleans_up(failure.number))
    tolerance.accepted |=
        kDirectoryTimes | (cleans_up(failure.number) ? unsigned{kLinkCounts} : 0u);
  const std::string now = tolerance.of(tree());
  const std::string before = tolerance.of(before_), after = tolerance.of(after_);
  if (!(result != 0 && tolerance.has(kErrorAfter) && now == after)) {
    EXPECT_EQ(difference(now, result == 0 ? after : before), "");
  }
  EXPECT_TRUE(result == 0 || result == -error || tolerance.has(kOtherError))
      << "the program is told what it was";
  if (now == before && now != after) is_done_by(act, tolerance, true);
  holds_no_lock(true);
  if (session().state().kept_used == 0) is_sound(tolerance);
}

void Fault::study(const Act& act, size_t turn) {
  reset(act);
  before_ = tree();
  const long result = act.run(*this);
  after_ = tree();
  if (result != 0) {  // refused, as in a tree of this kind it has to be
    EXPECT_TRUE(result == -EXDEV || result == -EACCES || result == -EPERM || result == -ENOTTY ||
                result == -EOPNOTSUPP)
        << result;
    EXPECT_EQ(after_.exact, before_.exact);
    return;
  }
  bool reached = true;
  for (int n = 1; reached && go_on(); n++) {
    SCOPED_TRACE(::testing::Message() << act.name << " is killed at call " << n);
    kill_at(act, n, &reached);
    disturbances_ += reached;
  }
  reached = true;
  for (int n = 1; reached && go_on(); n++) {
    for (size_t i = 0; i < (all_ways() ? std::size(kErrors) : 1) && reached && go_on(); i++) {
      SCOPED_TRACE(::testing::Message() << act.name << " meets an error at call " << n);
      const size_t way =
          all_ways() ? i : (turn / kPart + static_cast<size_t>(n)) % std::size(kErrors);
      fail_at(act, n, kErrors[way], &reached);
      disturbances_ += reached;
    }
  }
}

TEST_P(Fault, LeavesItBeforeOrAfter) {
  fill();
  const std::string print = fingerprint();
  const auto situation = static_cast<size_t>(GetParam().situation - situations().data());
  size_t turn = number_in("OVLRUN_SEED", 0) + 5 * situation + GetParam().kind;
  const char* const only = getenv("OVLRUN_FAULT_ACT");
  for (const Act& act : acts()) {
    if ((act.kinds & GetParam().kind) == 0 || (act.root_only && getuid() != 0)) continue;
    turn++;
    if (only != nullptr
            ? act.name != std::string(only)
            : !all_pairs() && turn % kPart != 0 && !is_always(*GetParam().situation, act))
      continue;
    SCOPED_TRACE(act.name);
    study(act, turn);
    if (!go_on()) break;
  }
  close_all();
  EXPECT_EQ(fingerprint(), print);
  RecordProperty("disturbances", static_cast<int>(disturbances_));
  printf("%lu disturbances\n", disturbances_);
}

INSTANTIATE_TEST_SUITE_P(Every, Fault, ::testing::ValuesIn(cases()), [](const auto& one) {
  return std::string(one.param.situation->name) + "_" + name_of(one.param.kind);
});

}  // namespace
}  // namespace ovl::testing
