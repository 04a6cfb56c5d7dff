// Tasks that make calls side by side at few names of a directory, be it an overlay's or not, and
// what they were told is checked. As run-stress calls it:
//   stress fill DIR PLAN                                  the trees of the rounds
//   stress run DIR PLAN SEED FIRST ROUNDS CALLS:PROGRAM...  the rounds; each of the processes is
//   one of the
//                                                         programs in turn: this one or another
//                                                         form of it
//   stress look DIR PLAN FIRST ROUNDS                     the trees, as they are
//   stress process FD NUMBER DIR CALLS                    a process of a round
// CALLS: how calls are made: by "libc", by its "syscall" function, "inline", or "kernel": by libc,
// for an overlay of the kernel.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/stress/raw_calls.h"
#include "tests/unit/linear/rounds.h"

namespace linear {
namespace {

struct NamedPlan {
  const char* name;
  Plan plan;
};
const NamedPlan kPlans[] = {
    {"threads", {.processes = 1, .threads = 3, .signals = 100}},
    {"processes", {.processes = 3, .threads = 2, .signals = 100}},
    {"many-calls", {.processes = 2, .threads = 1, .calls_most = 16, .signals = 100}},
    {"no-links", {.processes = 2, .threads = 2, .links = false, .signals = 100}},
    {"signals", {.processes = 2, .threads = 2, .signals = 100, .storm = true}},
    {"children", {.processes = 2, .threads = 2, .signals = 100, .children = 20}},
    {"crowd", {.processes = 64, .threads = 1, .calls_most = 1}},
    {"same-names", {.processes = 64, .threads = 1, .calls_most = 1, .few_names = true}},
};

// The kernel's overlayfs, racing with itself, says EEXIST of names that needn't be new and ENOTDIR
// of what is no directory: where a copy-up comes too late, and where two create at once. Where it
// waits for another's copy-up a signal is EINTR. That is not ours to check: again.
class KernelCalls final : public LibcCalls {
  static constexpr int kTimesMost = 20;  // it may be true
  template <class F>
  static long again(F call, bool by_race = false) {
    long r = 0;
    for (int i = 0; i < kTimesMost; i++) {
      do r = call();
      while (r == -EINTR);
      if (!by_race || (r != -EEXIST && r != -ENOTDIR)) break;
    }
    return r;
  }
  long open(const char* path, int flags, mode_t mode) override {
    return again([&] { return LibcCalls::open(path, flags, mode); }, (flags & O_EXCL) == 0);
  }
  long chmod(const char* path, mode_t mode) override {
    return again([&] { return LibcCalls::chmod(path, mode); }, true);
  }
  long truncate(const char* path, off_t size) override {
    return again([&] { return LibcCalls::truncate(path, size); }, true);
  }
  long unlink(const char* path, int flags) override {
    return again([&] { return LibcCalls::unlink(path, flags); });
  }
  long mkdir(const char* path, mode_t mode) override {
    return again([&] { return LibcCalls::mkdir(path, mode); });
  }
  long rename(const char* from, const char* to, unsigned flags) override {
    return again([&] { return LibcCalls::rename(from, to, flags); });
  }
  long link(const char* from, const char* to) override {
    return again([&] { return LibcCalls::link(from, to); });
  }
};

[[noreturn]] void fail(const std::string& what) {
  fprintf(stderr, "stress: %s\n", what.c_str());
  exit(2);
}

Plan plan_of(const std::string& name) {
  for (const NamedPlan& named : kPlans)
    if (name == named.name) return named.plan;
  fail("no plan '" + name + "'");
}

MakeCalls calls_of(const std::string& name) {
  if (name == "libc") return [] { return std::make_unique<LibcCalls>(); };
  if (name == "syscall") return [] { return std::make_unique<SyscallCalls>(); };
  if (name == "inline") return [] { return std::make_unique<InlineCalls>(); };
  if (name == "kernel") return [] { return std::make_unique<KernelCalls>(); };
  fail("no calls '" + name + "'");
}

int run(Plan plan, const std::string& top, const std::vector<std::string>& programs) {
  const BecomeProgram become = [&](int shared_fd, int process) {
    const std::string& program = programs[static_cast<size_t>(process) % programs.size()];
    const size_t colon = program.find(':');
    const std::string calls = program.substr(0, colon), path = program.substr(colon + 1),
                      fd = std::to_string(shared_fd), number = std::to_string(process);
    execl(path.c_str(), path.c_str(), "process", fd.c_str(), number.c_str(), top.c_str(),
          calls.c_str(), nullptr);
    perror(path.c_str());
  };
  const MakeCalls own = calls_of(programs[0].substr(0, programs[0].find(':')));
  const Tally tally = run_rounds(plan, top, own, become);
  printf("%lu operations %lu met %lu events %lu undecided\n", tally.operations, tally.met,
         tally.checked, tally.undecided);
  if (tally.failed()) printf("%s\n", tally.failure.c_str());
  return tally.failed() ? 1 : 0;
}

int main_of(const std::vector<std::string>& args) {
  umask(0);
  const std::string& what = args[0];
  const auto number = [&](size_t i) { return strtoull(args[i].c_str(), nullptr, 10); };
  if (what == "process" && args.size() == 5) {
    work(static_cast<int>(number(1)), static_cast<int>(number(2)), args[3], calls_of(args[4]));
    return 0;
  }
  if (args.size() < 3) fail("too few arguments");
  const std::string& top = args[1];
  Plan plan = plan_of(args[2]);
  if (what == "fill") {
    fill_lower(top, plan);
    return 0;
  }
  if (what == "run" && args.size() > 6) {
    plan.seed = number(3);
    plan.first_round = static_cast<int>(number(4));
    plan.rounds = static_cast<int>(number(5));
    return run(plan, top, {args.begin() + 6, args.end()});
  }
  if (what == "look" && args.size() == 5) {
    plan.first_round = static_cast<int>(number(3));
    plan.rounds = static_cast<int>(number(4));
    LibcCalls calls;
    for (const std::string& tree : look_at_trees(plan, top, calls)) printf("%s\n", tree.c_str());
    return 0;
  }
  fail("unknown arguments");
}

}  // namespace
}  // namespace linear

int main(int argc, char** argv) {
  if (argc < 2) linear::fail("see the head of its source");
  return linear::main_of({argv + 1, argv + argc});
}
