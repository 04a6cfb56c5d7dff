// system(3), popen(3), pclose(3), wordexp(3): libc's start the shell inside libc, with an
// environment that has no session in it.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/sys/sys.h"
#include "preload/call.h"
#include "preload/environment.h"
#include "preload/interposers.h"
#include "preload/mutex.h"
#include "preload/next.h"
#include "preload/spawn.h"

// The registration of clean-up code moved into libc with 2.34; the old version exists in both.
__asm__(".symver __pthread_register_cancel, __pthread_register_cancel@GLIBC_2.3.3");
__asm__(".symver __pthread_unregister_cancel, __pthread_unregister_cancel@GLIBC_2.3.3");
__asm__(".symver __pthread_unwind_next, __pthread_unwind_next@GLIBC_2.3.3");

extern "C" int _IO_fclose(FILE* stream);  // fclose under its other name

namespace ovl {
namespace {

char kShell[] = "/bin/sh";
char kName[] = "sh";
char kOption[] = "-c";

Next<int(const char*, wordexp_t*, int)> next_wordexp("wordexp");

// --- system ---

// While any system() runs in this process, SIGINT and SIGQUIT are ignored.
Mutex system_mutex;
int system_running;
struct sigaction old_interrupt, old_quit;

void ignore_signals() {
  Guard guard(system_mutex);
  if (system_running++ != 0) return;
  struct sigaction ignored = {};
  ignored.sa_handler = SIG_IGN;
  sigaction(SIGINT, &ignored, &old_interrupt);
  sigaction(SIGQUIT, &ignored, &old_quit);
}
void restore_signals() {
  Guard guard(system_mutex);
  if (--system_running != 0) return;
  sigaction(SIGINT, &old_interrupt, nullptr);
  sigaction(SIGQUIT, &old_quit, nullptr);
}

struct Running {
  pid_t pid;
  sigset_t old_mask;
};

// A cancelled system() takes its shell with it.
void cancelled(void* argument) {
  auto* running = static_cast<Running*>(argument);
  kill(running->pid, SIGKILL);
  while (raw_call(SYS_wait4, running->pid, nullptr, 0, nullptr) == -EINTR) {
  }
  restore_signals();
  sigprocmask(SIG_SETMASK, &running->old_mask, nullptr);
}

int run(const char* command) {
  Running running;
  sigset_t block;
  sigemptyset(&block);
  sigaddset(&block, SIGCHLD);
  ignore_signals();
  sigprocmask(SIG_BLOCK, &block, &running.old_mask);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  if (old_interrupt.sa_handler != SIG_IGN) sigaddset(&defaults, SIGINT);
  if (old_quit.sa_handler != SIG_IGN) sigaddset(&defaults, SIGQUIT);
  posix_spawnattr_setsigmask(&attributes, &running.old_mask);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  char* const argv[] = {kName, kOption, const_cast<char*>(command), nullptr};
  const int error = spawn(&running.pid, kShell, Search::kNo, nullptr, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);

  int status = 127 << 8;  // W_EXITCODE: no shell
  long waited = 0;
  if (error == 0) {
    pthread_cleanup_push(cancelled, &running);
    do {
      CancellationPoint point;
      waited = raw_call(SYS_wait4, running.pid, &status, 0, nullptr);
    } while (waited == -EINTR);
    pthread_cleanup_pop(0);
  }
  restore_signals();
  sigprocmask(SIG_SETMASK, &running.old_mask, nullptr);
  if (error != 0) errno = error;
  return waited < 0 ? static_cast<int>(libc_style(waited)) : status;
}

// --- popen ---

struct Piped {
  Piped* next;
  FILE* stream;
  pid_t pid;
};
std::atomic<Piped*> piped;  // changed under piped_mutex
Mutex piped_mutex;

// Takes the stream out of the list. nullptr: not one of popen's.
Piped* forget(FILE* stream) {
  Guard guard(piped_mutex);
  Piped* previous = nullptr;
  for (Piped* p = piped.load(std::memory_order_relaxed); p != nullptr; previous = p, p = p->next) {
    if (p->stream != stream) continue;
    if (previous != nullptr)
      previous->next = p->next;
    else
      piped.store(p->next, std::memory_order_release);
    return p;
  }
  return nullptr;
}

int close_and_wait(Piped* p) {
  const pid_t pid = p->pid;
  _IO_fclose(p->stream);
  free(p);
  int status;
  long r;
  do r = raw_call(SYS_wait4, pid, &status, 0, nullptr);
  while (r == -EINTR);
  return r < 0 ? static_cast<int>(libc_style(r)) : status;
}

// Starts the shell with `child_end` as its `number` (0 or 1). Other popen streams are not for it.
// Positive errno.
int start_shell(const char* command, int child_end, int number, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  int error = posix_spawn_file_actions_adddup2(&actions, child_end, number);
  {
    Guard guard(piped_mutex);
    for (Piped* p = piped.load(std::memory_order_relaxed); p != nullptr && error == 0;
         p = p->next) {
      const int fd = fileno(p->stream);
      if (fd >= 0 && fd != number) error = posix_spawn_file_actions_addclose(&actions, fd);
    }
  }
  char* const argv[] = {kName, kOption, const_cast<char*>(command), nullptr};
  if (error == 0) error = spawn(pid, kShell, Search::kNo, &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

int ip_system(const char* command) {
  if (command == nullptr) return run("exit 0") == 0;
  return run(command);
}

FILE* ip_popen(const char* command, const char* mode) {
  bool reading = false, writing = false, close_on_exec = false;
  for (const char* c = mode; *c != 0; c++) {
    if (*c == 'r')
      reading = true;
    else if (*c == 'w')
      writing = true;
    else if (*c == 'e')
      close_on_exec = true;
    else
      reading = writing = true;  // refused below
  }
  if (reading == writing) {
    errno = EINVAL;
    return nullptr;
  }
  int ends[2];
  if (libc_style(raw_call(SYS_pipe2, ends, O_CLOEXEC)) < 0) return nullptr;
  const int ours = reading ? ends[0] : ends[1], theirs = reading ? ends[1] : ends[0];
  auto* node = static_cast<Piped*>(malloc(sizeof(Piped)));
  FILE* stream = node != nullptr ? fdopen(ours, reading ? "r" : "w") : nullptr;
  int error = stream == nullptr ? errno : start_shell(command, theirs, reading ? 1 : 0, &node->pid);
  close_raw(theirs);
  if (error != 0) {
    if (stream != nullptr)
      _IO_fclose(stream);
    else
      close_raw(ours);
    free(node);
    errno = error;
    return nullptr;
  }
  if (!close_on_exec) raw_call(SYS_fcntl, ours, F_SETFD, 0);
  node->stream = stream;
  Guard guard(piped_mutex);
  node->next = piped.load(std::memory_order_relaxed);
  piped.store(node, std::memory_order_release);
  return stream;
}

int ip_pclose(FILE* stream) {
  Piped* p = forget(stream);
  return p != nullptr ? close_and_wait(p) : _IO_fclose(stream);
}

// libc starts the shell of a command substitution itself, beside the overlay: such words are
// refused with the error that there is for them. All the rest of wordexp reads only.
int ip_wordexp(const char* words, wordexp_t* result, int flags) {
  auto* real = next_wordexp.get();
  if (real == nullptr) return WRDE_NOSPACE;
  return real(words, result, attached() != nullptr ? flags | WRDE_NOCMD : flags);
}

int ip_fclose(FILE* stream) {
  if (__builtin_expect(piped.load(std::memory_order_acquire) == nullptr, 1))
    return _IO_fclose(stream);
  return ip_pclose(stream);
}

}  // namespace ovl
