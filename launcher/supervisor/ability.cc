// See ability.h.
#include "launcher/supervisor/ability.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/failure.h"

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

// A string of the child's memory, as a call's argument names it.
int read_memory(pid_t child, uint64_t address) {
  char text[sizeof kProbePath] = {};
  struct iovec here = {text, sizeof text};
  struct iovec there = {reinterpret_cast<void*>(address),  // NOLINT(performance-no-int-to-ptr)
                        sizeof text};
  if (process_vm_readv(child, &here, 1, &there, 1, 0) != sizeof text) return errno;
  return memcmp(text, kProbePath, sizeof text) == 0 ? 0 : EFAULT;
}

// Attaches for a moment: only the real thing tells whether somebody else traces the child.
int try_ptrace(pid_t child) {
  return ptrace(PTRACE_SEIZE, child, nullptr, nullptr) == 0 ? 0 : errno;
}

void end_ptrace(pid_t child) {
  ptrace(PTRACE_INTERRUPT, child, nullptr, nullptr);
  int status;
  while (waitpid(child, &status, __WALL) < 0 && errno == EINTR) {
  }
  ptrace(PTRACE_DETACH, child, nullptr, nullptr);
}

// The child is in its call, or about to make it.
void try_out(int listener, pid_t child, Tried& tried) {
  struct pollfd wait = {listener, POLLIN, 0};
  while (poll(&wait, 1, -1) < 0) {
  }
  if ((wait.revents & POLLIN) == 0) {  // it is no more
    tried.notifications = EPERM;
    return;
  }
  seccomp_notif call = {};
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
    tried.notifications = errno;
    return;
  }
  tried.memory = read_memory(child, call.data.args[1]);
  tried.ptrace = try_ptrace(child);
  char link[64];
  if (readlink(fmt::format("/proc/{}/cwd", child).c_str(), link, sizeof link) < 0)
    tried.proc = errno;
  seccomp_notif_addfd descriptor = {};
  descriptor.id = call.id;
  descriptor.srcfd = static_cast<uint32_t>(listener);
  descriptor.newfd_flags = O_CLOEXEC;
  const int added = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &descriptor);
  if (added < 0)
    tried.descriptors = errno;
  else
    close(added);  // it is here too
  seccomp_notif_resp reply = {};
  reply.id = call.id;
  reply.error = -EPERM;
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
  if (tried.ptrace == 0) end_ptrace(child);
}

void look_at_proc(Tried& tried) {
  char self[32] = {};
  tried.other_proc =
      readlink("/proc/self", self, sizeof self - 1) < 0 || strtol(self, nullptr, 10) != getpid();
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

void make_probe_call() { syscall(SYS_openat, AT_FDCWD, kProbePath, O_RDONLY | O_CLOEXEC); }

std::vector<std::string> try_supervision(const Result<int>& listener, pid_t child) {
  Tried tried;
  if (listener.ok())
    try_out(listener.value(), child, tried);
  else
    tried.notifications = listener.error();
  look_at_proc(tried);
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
