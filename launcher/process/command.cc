// The command's first steps: from the launcher to the program, through the overlay; see run.h.
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>

#include "core/caller/local_caller.h"
#include "core/ops/ops.h"
#include "launcher/failure.h"
#include "launcher/process/channel.h"
#include "launcher/process/run.h"
#include "launcher/process/search.h"
#include "launcher/session/start.h"

extern char** environ;

namespace ovl {
namespace {

// As execve(2), with the overlay in effect. Returns the errno.
int exec_in_overlay(LocalCaller& caller, Session& session, const std::string& file,
                    char* const* argv) {
  const Outcome outcome = run_op<op_execve>(caller, session, UserPath(file.c_str()),
                                            UserBuf(const_cast<char**>(argv)), UserBuf(environ));
  if (!outcome.is_native()) return static_cast<int>(-outcome.value());
  execve(file.c_str(), argv, environ);
  return errno;
}

// As execvp(3): the search in PATH, and /bin/sh for a file without a format. Returns the errno.
int exec_searching(LocalCaller& caller, Session& session, const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return search_path(command[0], [&](const std::string& file) {
    const int code = exec_in_overlay(caller, session, file, argv.data());
    if (code != ENOEXEC) return code;
    std::string script = file, shell = "/bin/sh";
    std::vector<char*> words = {shell.data(), script.data()};
    words.insert(words.end(), argv.begin() + 1, argv.end());
    return exec_in_overlay(caller, session, shell, words.data());
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

}  // namespace

void become_command(const RunOptions& options, const RunningSession& running,
                    const CallerSignals& signals) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  forbid_core_dumps_in_layers();
  const std::string& file = running.file();
  auto session = std::make_unique<Session>();
  const Result<void> attached = session->attach(CStr(file.c_str(), file.size()));
  int code = attached.error();
  if (attached.ok()) {
    LocalCaller caller;
    give_signals_back(signals);
    code = exec_searching(caller, *session, options.command);
  }
  // EPERM is op_execve's own refusal of a program that can't be followed, told already: nothing
  // else gives it with no_new_privs.
  if (code != EPERM) complain(fmt::format("{}: {}", quote(options.command[0]), error_text(code)));
  _exit(attached.ok() ? exec_status(code) : kExitFailure);
}

}  // namespace ovl
