// bare CMD...: runs it below a supervisor that does the least that one can. It reads each path that
// a call of the command names, from the task's memory, and lets the call go on: what is left is the
// price of the notification itself, which no overlay by seccomp(2) can be below. Run by bench/run.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

// Linux 6.6
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ul
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

namespace {

constexpr struct {
  int call, path;  // its number, and the argument that is a path
} kCalls[] = {{SYS_open, 0},       {SYS_openat, 1},     {SYS_stat, 0},   {SYS_lstat, 0},
              {SYS_newfstatat, 1}, {SYS_statx, 1},      {SYS_access, 0}, {SYS_faccessat2, 1},
              {SYS_readlink, 0},   {SYS_readlinkat, 1}, {SYS_unlink, 0}, {SYS_unlinkat, 1}};

[[noreturn]] void fail(const char* what) {
  perror(what);
  exit(125);
}

// The listener's number, which the parent shares.
int listen() {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
  for (const auto& one : kCalls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(one.call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const struct sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  constexpr unsigned long kWaitKillable = 1ul << 5;  // Linux 5.19
  long listener = -1;
  for (const unsigned long more : {kWaitKillable, 0ul})
    if (listener < 0)
      listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                         SECCOMP_FILTER_FLAG_NEW_LISTENER | more, &filter);
  if (listener < 0) fail("seccomp");
  return static_cast<int>(listener);
}

void read_path(const seccomp_notif& call) {
  constexpr uintptr_t kPage = 4096;
  static char page[kPage];
  for (const auto& one : kCalls) {
    if (one.call != call.data.nr) continue;
    const uintptr_t at = call.data.args[one.path] & ~(kPage - 1);
    struct iovec local = {page, kPage};
    struct iovec remote = {reinterpret_cast<void*>(at), kPage};  // NOLINT: an address over there
    process_vm_readv(static_cast<pid_t>(call.pid), &local, 1, &remote, 1, 0);
  }
}

// Until no task is left below the filter.
void serve(int listener) {
  // Interrupts what waits for calls that nobody makes any more.
  struct sigaction ended = {};
  ended.sa_handler = [](int) {};
  sigaction(SIGCHLD, &ended, nullptr);
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
  for (;;) {
    seccomp_notif call = {};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
      struct pollfd state = {listener, POLLIN, 0};
      if (poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0) return;
      continue;
    }
    read_path(call);
    seccomp_notif_resp answer = {};
    answer.id = call.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 125;
  int ready[2];
  if (pipe(ready) != 0) fail("pipe");
  // With our own table of descriptors: so the listener comes here by its number alone.
  const auto child = static_cast<pid_t>(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
  if (child < 0) fail("clone");
  if (child == 0) {
    const int listener = listen();
    if (write(ready[1], &listener, sizeof listener) != sizeof listener) _exit(125);
    unshare(CLONE_FILES);
    for (int fd : {listener, ready[0], ready[1]}) close(fd);
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  int listener;
  if (read(ready[0], &listener, sizeof listener) != sizeof listener) fail("no listener");
  serve(listener);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
