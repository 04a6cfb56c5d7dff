// See ability.h.
#include "launcher/supervisor/ability.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/descriptor_message.h"
#include "launcher/failure.h"
#include "launcher/supervisor/filter.h"

namespace ovl {
namespace {

constexpr char kProbePath[] = "/an ovlrun that looks what is possible here";

// What was tried, and the errno that came of it; 0: it works.
struct Tried {
  int notifications = 0;
  int descriptors = 0;
  int memory = 0;
  int ptrace = 0;
  int proc = 0;
  bool other_proc = false;  // of another pid name space
};

// --- in the child ---

// Only one call is trapped: the others are needed to hand the listener over.
std::vector<sock_filter> probe_filter() {
  return {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_openat},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
}

[[noreturn]] void be_probed(int socket, const std::vector<sock_filter>& filter, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const Result<UniqueFd> listener = install_filter(filter);
  const int code = listener.error();
  (void)send_with_descriptor(socket, &code, sizeof code,
                             listener.ok() ? listener.value().get() : -1);
  if (listener.ok())
    syscall(SYS_openat, AT_FDCWD, kProbePath, O_RDONLY | O_CLOEXEC);  // answered by the parent
  _exit(0);
}

// --- in the parent ---

// The listener; -1 with the reason in *code.
UniqueFd receive_listener(int socket, int* code) {
  UniqueFd listener;
  if (receive_with_descriptor(socket, code, sizeof *code, &listener) != sizeof *code)
    *code = EPERM;  // the profile kills whoever tries
  else if (*code == 0 && !listener.valid())
    *code = EMFILE;
  return listener;
}

// A string of the child's memory, as a call's argument names it.
int read_memory(pid_t child, uint64_t address) {
  char text[sizeof kProbePath] = {};
  struct iovec here = {text, sizeof text};
  struct iovec there = {reinterpret_cast<void*>(address),  // NOLINT(performance-no-int-to-ptr)
                        sizeof text};
  if (process_vm_readv(child, &here, 1, &there, 1, 0) != sizeof text) return errno;
  return memcmp(text, kProbePath, sizeof text) == 0 ? 0 : EFAULT;
}

// The child waits in its call.
void try_out(int listener, pid_t child, Tried& tried) {
  seccomp_notif call = {};
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
    tried.notifications = errno;
    return;
  }
  tried.memory = read_memory(child, call.data.args[1]);
  if (ptrace(PTRACE_SEIZE, child, nullptr, nullptr) != 0) tried.ptrace = errno;
  char link[64];
  if (readlink(fmt::format("/proc/{}/cwd", child).c_str(), link, sizeof link) < 0)
    tried.proc = errno;
  seccomp_notif_addfd descriptor = {};
  descriptor.id = call.id;
  descriptor.srcfd = static_cast<uint32_t>(listener);
  descriptor.newfd_flags = O_CLOEXEC;
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &descriptor) < 0) tried.descriptors = errno;
  seccomp_notif_resp reply = {};
  reply.id = call.id;
  reply.error = -EPERM;
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

void look_at_proc(Tried& tried) {
  char self[32] = {};
  tried.other_proc =
      readlink("/proc/self", self, sizeof self - 1) < 0 || strtol(self, nullptr, 10) != getpid();
}

Tried try_all() {
  Tried tried;
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
    fail("can't make a socket pair: {}", error_text(errno));
  UniqueFd ours(sockets[0]), childs(sockets[1]);
  const std::vector<sock_filter> filter = probe_filter();
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) fail("can't fork: {}", error_text(errno));
  if (child == 0) be_probed(childs.get(), filter, parent);
  childs.reset();
  const UniqueFd listener = receive_listener(ours.get(), &tried.notifications);
  if (listener.valid()) {
    struct pollfd wait = {listener.get(), POLLIN, 0};
    while (poll(&wait, 1, -1) < 0) {
    }
    if ((wait.revents & POLLIN) != 0)
      try_out(listener.get(), child, tried);
    else
      tried.notifications = EPERM;
  }
  look_at_proc(tried);
  // Also out of a ptrace stop, should somebody have sent it a signal.
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  return tried;
}

std::string no_notifications(int code) {
  switch (code) {
    case EBUSY:
      return "somebody else's supervisor listens to this process's calls already";
    case EINVAL:
    case ENOSYS:
      return fmt::format(
          "no seccomp user notifications here ({}): an older kernel than Linux 5.0, "
          "or another that has none",
          error_text(code));
    default:
      return fmt::format(
          "seccomp user notifications are refused ({}), perhaps by a container's profile",
          error_text(code));
  }
}

}  // namespace

std::vector<std::string> missing_for_supervisor() {
  const Tried tried = try_all();
  std::vector<std::string> lines;
  if (tried.notifications != 0) lines.push_back(no_notifications(tried.notifications));
  if (tried.descriptors != 0)
    lines.push_back(fmt::format("a waiting task can't be given a descriptor ({}): needs Linux 5.9",
                                error_text(tried.descriptors)));
  if (tried.memory != 0)
    lines.push_back(
        fmt::format("the memory of a child can't be read ({})", error_text(tried.memory)));
  if (tried.ptrace != 0)
    lines.push_back(fmt::format("a child can't be traced ({})", error_text(tried.ptrace)));
  if (tried.other_proc)
    lines.push_back("/proc belongs to another pid name space");
  else if (tried.proc != 0)
    lines.push_back(fmt::format("/proc does not show a child ({})", error_text(tried.proc)));
  return lines;
}

}  // namespace ovl
