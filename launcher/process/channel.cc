// See channel.h.
#include "launcher/process/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/failure.h"

namespace ovl {

Channel make_channel() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    fail("can't make a socket pair: {}", error_text(errno));
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void send_message(int fd, const Message& message) {
  while (send(fd, &message, sizeof message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

bool receive_message(int fd, Message* message) {
  ssize_t n;
  // ECONNRESET is told once, before what there is to read: the other side has gone without reading
  // all that we sent.
  while ((n = recv(fd, message, sizeof *message, 0)) < 0 &&
         (errno == EINTR || errno == ECONNRESET)) {
  }
  return n == static_cast<ssize_t>(sizeof *message);
}

CallerSignals take_signals() {
  CallerSignals signals;
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &signals.mask);
  struct sigaction normal = {};
  normal.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &normal, &signals.child);
  return signals;
}

void give_signals_back(const CallerSignals& signals) {
  sigaction(SIGCHLD, &signals.child, nullptr);
  sigprocmask(SIG_SETMASK, &signals.mask, nullptr);
}

UniqueFd all_signals_fd() {
  sigset_t all;
  sigfillset(&all);
  UniqueFd fd(signalfd(-1, &all, SFD_CLOEXEC));
  if (!fd.valid()) fail("can't make a signal descriptor: {}", error_text(errno));
  return fd;
}

void close_others(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned from = 3;
  for (int fd : keep) {
    if (fd < 3) continue;
    if (static_cast<unsigned>(fd) > from)
      syscall(SYS_close_range, from, static_cast<unsigned>(fd) - 1, 0);
    from = static_cast<unsigned>(fd) + 1;
  }
  syscall(SYS_close_range, from, ~0u, 0);
}

void leave_standard_streams(const std::vector<int>& keep) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd <= 2; fd++)
    if (null.valid() && std::find(keep.begin(), keep.end(), fd) == keep.end()) dup2(null.get(), fd);
}

void keep_only(const std::vector<int>& keep) {
  leave_standard_streams(keep);
  close_others(keep);
}

}  // namespace ovl
