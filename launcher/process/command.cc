// The command's first steps: from the launcher to the program, through the overlay; see run.h.
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <memory>

#include "core/caller/local_caller.h"
#include "core/ops/ops.h"
#include "core/sys/gate.h"
#include "launcher/failure.h"
#include "launcher/process/channel.h"
#include "launcher/process/run.h"
#include "launcher/process/search.h"
#include "launcher/process/turns.h"

extern char** environ;

namespace ovl {
namespace {

// As execve(2), with the overlay in effect. Returns the errno.
int exec_in_overlay(LocalCaller& caller, Session& session, const std::string& file,
                    char* const* argv) {
  const Outcome outcome = run_op<op_execve>(caller, session, UserPath(file.c_str()),
                                            UserBuf(const_cast<char**>(argv)), UserBuf(environ));
  if (!outcome.is_native()) return static_cast<int>(-outcome.value());
  // From the gate, where there is one: what op_execve has found is what the kernel finds too.
  return static_cast<int>(-raw_call(SYS_execve, file.c_str(), argv, environ));
}

// As execvp(3): the search in PATH, and /bin/sh for a file without a format. Returns the errno.
int exec_searching(const std::function<int(const std::string&, char* const*)>& exec,
                   const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return search_path(command[0], [&](const std::string& file) {
    const int code = exec(file, argv.data());
    if (code != ENOEXEC) return code;
    std::string script = file, shell = "/bin/sh";
    std::vector<char*> words = {shell.data(), script.data()};
    words.insert(words.end(), argv.begin() + 1, argv.end());
    return exec(shell, words.data());
  });
}

// The kernel writes a core dump itself, and with a relative core_pattern into the real current
// directory: perhaps a lower's. Then there are none.
void forbid_core_dumps_in_layers() {
  char first = 0;
  FILE* file = fopen("/proc/sys/kernel/core_pattern", "re");
  if (file == nullptr || fread(&first, 1, 1, file) != 1) first = 0;
  if (file != nullptr) fclose(file);
  if (first == '|' || first == '/') return;
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

// With the filter and no gate: an exec of this task is like that of any program, and the
// supervisor's.
int exec_plainly(const std::string& file, char* const* argv) {
  execve(file.c_str(), argv, environ);
  return errno;
}

[[noreturn]] void give_up(const RunOptions& options, int code) {
  // EPERM is op_execve's own refusal of a program that can't be followed, told already: nothing
  // else gives it with no_new_privs.
  if (code != EPERM) complain(fmt::format("{}: {}", quote(options.command[0]), error_text(code)));
  _exit(exec_status(code));
}

}  // namespace

void prepare_command(bool own_exec) {
  forbid_core_dumps_in_layers();
  if (own_exec) fix_gate();  // else exec is the supervisor's
}

void become_command(const RunOptions& options, const std::string& file, const Ways& ways,
                    const CallerSignals& signals) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  give_turns_back();
  if (ways.supervisor && gate_shift == 0) {
    give_signals_back(signals);
    give_up(options, exec_searching(exec_plainly, options.command));
  }
  auto session = std::make_unique<Session>();
  const Result<void> attached = session->attach(CStr(file.c_str(), file.size()));
  int code = attached.error();
  if (attached.ok()) {
    LocalCaller caller;
    give_signals_back(signals);
    code = exec_searching(
        [&](const std::string& name, char* const* argv) {
          return exec_in_overlay(caller, *session, name, argv);
        },
        options.command);
    give_up(options, code);
  }
  complain(fmt::format("{}: {}", quote(file), error_text(code)));
  _exit(kExitFailure);
}

}  // namespace ovl
