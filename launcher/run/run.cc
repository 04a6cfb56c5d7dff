// ovlrun -- CMD...: plans the session, and runs the command in it.
#include "launcher/process/run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/process/search.h"
#include "launcher/run/intercept.h"
#include "launcher/session/join.h"
#include "launcher/session/plan.h"

namespace ovl {
namespace {

// An inner session has no filter and no supervisor of its own: one listener is all that a task can
// have, and the one around serves the inner session too.
Ways ways_inside(const RunOptions& options, const Around& around) {
  const bool supervised = around.session().segment().supervised != 0;
  if (options.strict || options.intercept == Intercept::kSeccomp ||
      (options.intercept == Intercept::kBoth && !supervised))
    fail("{} is not possible below another ovlrun that does without",
         options.strict                             ? "--strict"
         : options.intercept == Intercept::kSeccomp ? "--intercept=seccomp"
                                                    : "--intercept=both");
  return {true, false};
}

// Whether there can be a supervisor is seen when the keeper has the child that it would serve.
Ways first_ways(const RunOptions& options) {
  const Ways wanted = wanted_ways(options);
  return wanted.supervisor ? wanted : choose_ways(options, {});
}

// 0: it may be executed; else the errno that execve would give (as far as names and modes tell).
int executable(const std::string& file) {
  struct stat st;
  if (stat(file.c_str(), &st) != 0) return errno;
  return S_ISREG(st.st_mode) && access(file.c_str(), X_OK) == 0 ? 0 : EACCES;
}

// While every upper is fresh and in place, programs see what is there now: a command that is
// missing is found out before anything is created. Otherwise exec tells.
void check_command(const std::string& command, const Plan& plan) {
  const bool as_now =
      std::all_of(plan.overlays.begin(), plan.overlays.end(), [](const PlannedOverlay& o) {
        return o.fresh_upper && o.lowers.size() == 1 && o.lowers[0] == o.at;
      });
  if (!as_now) return;
  const int code = search_path(command, executable);
  if (code != 0)
    throw Failure(fmt::format("{}: {}", quote(command), error_text(code)), exec_status(code));
}

// What descriptors and the current directory are is asked of /proc, in each program.
void check_proc() {
  if (access("/proc/thread-self/fd", F_OK) != 0)
    fail(
        "/proc does not show this process: it is not mounted, or belongs to another pid name "
        "space. "
        "Nothing can be followed without it");
}

// The end of the session is too late to find out.
void check_trace_file(const std::string& file) {
  if (file.empty()) return;
  const bool there = access(file.c_str(), F_OK) == 0;
  const std::string dir =
      file.find('/') == std::string::npos ? "." : file.substr(0, file.rfind('/') + 1);
  struct stat st;
  if (access((there ? file : dir).c_str(), W_OK) != 0)
    fail("--trace={}: {}", quote(file), error_text(errno));
  if (there && stat(file.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
    fail("--trace={}: {}", quote(file), error_text(EISDIR));
}

int join(const RunOptions& options, const Around* around) {
  if (around != nullptr) fail("--join is not possible below another ovlrun");
  const Plan plan = plan_join(options);
  // For a moment only: the keeper joins it.
  const RunOptions own = JoinedSession(plan).with_its_ways(options);
  return run_command(own, plan, wanted_ways(own));
}

}  // namespace

int run_main(const RunOptions& options) {
  check_proc();
  const std::shared_ptr<Around> around = Around::find();
  const char* outer = getenv(kSessionVariable);
  if (around == nullptr && outer != nullptr && access(outer, F_OK) == 0)
    fail("already below ovlrun (session {}), but not followed by it", quote(outer));
  if (options.join) return join(options, around.get());
  const Ways ways = around == nullptr ? first_ways(options) : ways_inside(options, *around);
  const Plan plan = make_plan(options, around);
  check_trace_file(options.trace_file);
  check_command(options.command[0], plan);
  return run_command(options, plan, ways);
}

}  // namespace ovl
