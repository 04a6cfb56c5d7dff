// See below.h.
#include "tests/unit/supervisor/below.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ovl {

int run_below(const FilterOptions& options, const std::function<int()>& body,
              const std::function<void(const seccomp_notif&)>& look) {
  const std::vector<sock_filter> filter = make_filter(options);
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return -2;
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // The parent takes the descriptor from the table that both have: no call is needed.
    Result<UniqueFd> listener = install_filter(filter);
    int number = listener.ok() ? listener.value().get() : -listener.error();
    (void)!write(sockets[1], &number, sizeof number);
    (void)!read(sockets[1], &number, 1);
    if (!listener.ok()) _exit(0);
    listener.value().reset();
    _exit(body());
  }
  close(sockets[1]);
  int number = 0;
  if (read(sockets[0], &number, sizeof number) != sizeof number) return -2;
  int listener = -1;
  if (number >= 0) {
    const int process = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
    listener = static_cast<int>(syscall(SYS_pidfd_getfd, process, number, 0));
    close(process);
  }
  (void)!write(sockets[0], "", 1);
  while (listener >= 0) {
    struct pollfd wait = {listener, POLLIN, 0};
    if (poll(&wait, 1, -1) < 0 || (wait.revents & POLLIN) == 0) break;  // nobody is left
    seccomp_notif call = {};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue;
    if (look) look(call);
    seccomp_notif_resp reply = {};
    reply.id = call.id;
    reply.error = -kMark;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
  }
  close(sockets[0]);
  if (listener >= 0) close(listener);
  int status = 0;
  waitpid(child, &status, 0);
  if (number < 0) {
    errno = -number;
    return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -3;
}

}  // namespace ovl
