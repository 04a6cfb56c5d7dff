// posix_spawn(3). libc's opens, changes directory and executes inside libc, so this is one of our
// own: a child that shares our memory (CLONE_VM | CLONE_VFORK) and does the attributes and actions
// through the interposers. The actions and attributes are objects of libc's, made by its functions;
// their layout has been the same since glibc 2.2 (actions are only ever added at the end of the
// list), and is checked here as far as <spawn.h> tells.
#include "preload/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/sys/sys.h"
#include "preload/call.h"
#include "preload/exec.h"
#include "preload/interposers.h"
#include "preload/open.h"

namespace ovl {
namespace {

// glibc's struct __spawn_action.
enum Tag : int { kClose, kDup2, kOpen, kChdir, kFchdir, kCloseFrom, kSetTerminalGroup };
struct Action {
  Tag tag;
  union {
    struct {
      int fd;  // kClose, kFchdir, kCloseFrom, kSetTerminalGroup
    } one;
    struct {
      int fd;
      int new_fd;
    } dup2;
    struct {
      int fd;
      char* path;
      int flags;
      mode_t mode;
    } open;
    struct {
      char* path;
    } chdir;
  };
};
static_assert(sizeof(Action) == 32 && offsetof(Action, open.path) == 16 &&
              offsetof(Action, chdir.path) == 8);
static_assert(sizeof(posix_spawn_file_actions_t) == 80 &&
              offsetof(posix_spawn_file_actions_t, __actions) == 8);
static_assert(sizeof(posix_spawnattr_t) == 336 && offsetof(posix_spawnattr_t, __policy) == 268);

constexpr int kSetCgroup =
    0x100;  // POSIX_SPAWN_SETCGROUP, glibc 2.39: the group's descriptor follows __policy
static_assert(offsetof(posix_spawnattr_t, __pad) == 272);

constexpr int kKnownFlags = kSetCgroup | POSIX_SPAWN_RESETIDS | POSIX_SPAWN_SETPGROUP |
                            POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                            POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER |
                            POSIX_SPAWN_USEVFORK | POSIX_SPAWN_SETSID;
constexpr size_t kStackSize = 256 * 1024;  // touched as far as it is used
constexpr int kSignals = 64;
constexpr int kFailed = 127;

struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

struct Spawn {
  const char* file;
  Search search;
  const posix_spawn_file_actions_t* actions;
  const posix_spawnattr_t* attributes;
  char* const* argv;
  char* const* envp;
  uint64_t old_mask;
  bool handlers_cleared;  // the kernel has done so
  int pidfd;
  int error;  // what the child failed with; the parent sees it, since memory is shared
};

int flags_of(const Spawn& s) { return s.attributes != nullptr ? s.attributes->__flags : 0; }

// For cancellation and setuid; ignored in the child from here on.
bool is_of_libc(int sig) { return sig == 32 || sig == 33; }

bool is_caught(int sig) {
  KernelSigaction action = {};
  return raw_call(SYS_rt_sigaction, sig, nullptr, &action, sizeof action.mask) == 0 &&
         action.handler != SIG_IGN && action.handler != SIG_DFL;
}

// No handler of the parent's may run in the child, which shares its memory.
void reset_signals(const Spawn& s) {
  const bool set_default = (flags_of(s) & POSIX_SPAWN_SETSIGDEF) != 0;
  for (int sig = 1; sig <= kSignals; sig++) {
    const bool is_set = set_default && sigismember(&s.attributes->__sd, sig) == 1;
    if (!is_set && !is_of_libc(sig) && (s.handlers_cleared || !is_caught(sig))) continue;
    KernelSigaction action = {};
    action.handler = !is_set && is_of_libc(sig) ? SIG_IGN : SIG_DFL;
    raw_call(SYS_rt_sigaction, sig, &action, nullptr, sizeof action.mask);
  }
}

// Into a cgroup by its own file; the kernel's CLONE_INTO_CGROUP asks for the same rights.
long enter_cgroup(int directory) {
  const long fd = raw_call(SYS_openat, directory, "cgroup.procs", O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const long r = raw_call(SYS_write, fd, "0", 1);
  raw_call(SYS_close, fd);
  return r < 0 ? r : 0;
}

long apply_attributes(const Spawn& s) {
  const int flags = flags_of(s);
  const posix_spawnattr_t* a = s.attributes;
  long r = 0;
  if ((flags & kSetCgroup) != 0 && (r = enter_cgroup(a->__pad[0])) < 0) return r;
  if ((flags & POSIX_SPAWN_SETSCHEDULER) != 0) {
    r = raw_call(SYS_sched_setscheduler, 0, a->__policy, &a->__sp);
  } else if ((flags & POSIX_SPAWN_SETSCHEDPARAM) != 0) {
    r = raw_call(SYS_sched_setparam, 0, &a->__sp);
  }
  if (r < 0) return r;
  if ((flags & POSIX_SPAWN_SETSID) != 0 && (r = raw_call(SYS_setsid)) < 0) return r;
  if ((flags & POSIX_SPAWN_SETPGROUP) != 0 && (r = raw_call(SYS_setpgid, 0, a->__pgrp)) < 0)
    return r;
  if ((flags & POSIX_SPAWN_RESETIDS) != 0) {
    // The raw calls: libc's would change the ids of the parent's threads as well.
    if ((r = raw_call(SYS_setresuid, -1, raw_call(SYS_getuid), -1)) < 0) return r;
    if ((r = raw_call(SYS_setresgid, -1, raw_call(SYS_getgid), -1)) < 0) return r;
  }
  return 0;
}

long close_from(int from) {
  if (from < 0) return -EBADF;
  const long r = raw_call(SYS_close_range, from, ~0u, 0);
  if (r != -ENOSYS) return r;
  rlimit limit;
  if (raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit) != 0) return -EMFILE;
  for (unsigned long fd = static_cast<unsigned long>(from); fd < limit.rlim_cur; fd++)
    raw_call(SYS_close, fd);
  return 0;
}

// The file gets the wanted number even if that is open.
long open_as(const Action& action) {
  const int wanted = action.open.fd;
  raw_call(SYS_close, wanted);
  const long fd =
      open_kernel_style(AT_FDCWD, action.open.path, action.open.flags, action.open.mode);
  if (fd < 0 || fd == wanted) return fd;
  const long r = raw_call(SYS_dup2, fd, wanted);
  raw_call(SYS_close, fd);
  return r;
}

long apply(const Spawn& s, const Action& action) {
  switch (action.tag) {
    case kClose: {
      const long r = raw_call(SYS_close, action.one.fd);
      // Closing what isn't open is fine, unless it never could be.
      rlimit limit;
      if (r == 0 ||
          (action.one.fd >= 0 && raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit) == 0 &&
           static_cast<unsigned long>(action.one.fd) < limit.rlim_cur))
        return 0;
      return r;
    }
    case kDup2:
      // Onto itself: the descriptor is to be inherited.
      if (action.dup2.fd != action.dup2.new_fd)
        return raw_call(SYS_dup2, action.dup2.fd, action.dup2.new_fd);
      if (const long flags = raw_call(SYS_fcntl, action.dup2.fd, F_GETFD); flags < 0)
        return flags;
      else
        return raw_call(SYS_fcntl, action.dup2.fd, F_SETFD, flags & ~FD_CLOEXEC);
    case kOpen:
      return open_as(action);
    case kChdir:
      return OVL_CALL(chdir, UserPath(static_cast<const char*>(action.chdir.path)));
    case kFchdir:
      return OVL_CALL(fchdir, action.one.fd);
    case kCloseFrom:
      return close_from(action.one.fd);
    case kSetTerminalGroup: {
      const bool given = (flags_of(s) & POSIX_SPAWN_SETPGROUP) != 0 && s.attributes->__pgrp != 0;
      const pid_t group =
          given ? s.attributes->__pgrp : static_cast<pid_t>(raw_call(SYS_getpgid, 0));
      return raw_call(SYS_ioctl, action.one.fd, TIOCSPGRP, &group);
    }
  }
  return -EINVAL;  // an action that this version does not know
}

long prepare_and_exec(const Spawn& s) {
  reset_signals(s);
  if (const long r = apply_attributes(s); r < 0) return r;
  const int count = s.actions != nullptr ? s.actions->__used : 0;
  for (int i = 0; i < count; i++) {
    const auto* list = reinterpret_cast<const Action*>(s.actions->__actions);
    if (const long r = apply(s, list[i]); r < 0) return r;
  }
  const bool mask_given = (flags_of(s) & POSIX_SPAWN_SETSIGMASK) != 0;
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK,
           mask_given ? static_cast<const void*>(&s.attributes->__ss) : &s.old_mask, nullptr,
           sizeof s.old_mask);
  if (s.search == Search::kNo) return exec_kernel_style(s.file, s.argv, s.envp);
  return exec_search(s.file, s.argv, s.envp, OnUnknownFormat::kFail);
}

int child(void* argument) {
  auto* s = static_cast<Spawn*>(argument);
  s->error = static_cast<int>(-prepare_and_exec(*s));
  for (;;) raw_call(SYS_exit_group, kFailed);
}

extern "C" long ovl_clone3(const struct clone_args* args, size_t size, int (*function)(void*),
                           void* argument);

// A child on this stack. -errno.
long make_child(Spawn* s, long stack, int flags) {
  constexpr uint64_t kClearHandlers = 0x100000000u;  // CLONE_CLEAR_SIGHAND, Linux 5.5
  struct clone_args args = {};
  args.flags = static_cast<uint64_t>(flags) | kClearHandlers;
  args.exit_signal = SIGCHLD;
  args.stack = static_cast<uint64_t>(stack);
  args.stack_size = kStackSize;
  args.pidfd = reinterpret_cast<uint64_t>(&s->pidfd);
  s->handlers_cleared = true;
  const long made = ovl_clone3(&args, CLONE_ARGS_SIZE_VER0, child, s);
  if (made != -ENOSYS && made != -EINVAL && made != -EPERM) return made;
  s->handlers_cleared = false;
  const int old =
      clone(child, reinterpret_cast<char*>(stack) + kStackSize, flags | SIGCHLD, s, &s->pidfd);
  return old < 0 ? -errno : old;
}

// With a descriptor of the child where `pidfd` is not null.
int spawn_child(pid_t* pid, int* pidfd, const char* file, Search search,
                const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
                char* const* argv, char* const* envp) {
  Spawn s = {file, search, actions, attributes, argv, envp, 0, false, -1, 0};
  if ((flags_of(s) & ~kKnownFlags) != 0) return EINVAL;
  ErrnoSaver saver;
  const long stack = raw_call(SYS_mmap, nullptr, kStackSize, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack < 0 && stack > -4096) return static_cast<int>(-stack);
  // Neither a handler nor a cancellation may catch the thread whose memory the child uses.
  const uint64_t all = ~uint64_t{0};
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &s.old_mask, sizeof all);
  int old_state;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
  const int flags = CLONE_VM | CLONE_VFORK | (pidfd != nullptr ? CLONE_PIDFD : 0);
  const int made = static_cast<int>(make_child(&s, stack, flags));
  const int error = made < 0 ? -made : s.error;
  if (made > 0 && error != 0) {
    raw_call(SYS_wait4, made, nullptr, 0, nullptr);
    if (s.pidfd >= 0) close_raw(s.pidfd);
  }
  if (error == 0 && pid != nullptr) *pid = made;
  if (error == 0 && pidfd != nullptr) *pidfd = s.pidfd;
  pthread_setcancelstate(old_state, nullptr);
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &s.old_mask, nullptr, sizeof s.old_mask);
  raw_call(SYS_munmap, stack, kStackSize);
  return error;
}

}  // namespace

int spawn(pid_t* pid, const char* file, Search search, const posix_spawn_file_actions_t* actions,
          const posix_spawnattr_t* attributes, char* const* argv, char* const* envp) {
  return spawn_child(pid, nullptr, file, search, actions, attributes, argv, envp);
}

int ip_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                   const posix_spawnattr_t* attributes, char* const* argv, char* const* envp) {
  return spawn(pid, path, Search::kNo, actions, attributes, argv, envp);
}
int ip_posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                    const posix_spawnattr_t* attributes, char* const* argv, char* const* envp) {
  return spawn(pid, file, Search::kPath, actions, attributes, argv, envp);
}

int ip_pidfd_spawn(int* pidfd, const char* path, const posix_spawn_file_actions_t* actions,
                   const posix_spawnattr_t* attributes, char* const* argv, char* const* envp) {
  return spawn_child(nullptr, pidfd, path, Search::kNo, actions, attributes, argv, envp);
}
int ip_pidfd_spawnp(int* pidfd, const char* file, const posix_spawn_file_actions_t* actions,
                    const posix_spawnattr_t* attributes, char* const* argv, char* const* envp) {
  return spawn_child(nullptr, pidfd, file, Search::kPath, actions, attributes, argv, envp);
}

}  // namespace ovl
