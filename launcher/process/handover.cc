// See handover.h.
#include "launcher/process/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/failure.h"
#include "launcher/supervisor/filter.h"

namespace ovl {
namespace {

struct Text {
  SupervisorOptions options;
  char session_file[PATH_MAX];
};

union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

bool write_word(int fd, int word) { return write(fd, &word, sizeof word) == sizeof word; }
bool read_word(int fd, int* word) {
  ssize_t n;
  while ((n = read(fd, word, sizeof *word)) < 0 && errno == EINTR) {
  }
  return n == sizeof *word;
}

struct Pipe {
  UniqueFd read, write;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("can't make a pipe: {}", error_text(errno));
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
};

}  // namespace

void send_handover(int socket, const Handover& handover) {
  Text text = {};
  text.options = handover.options;
  if (handover.session_file.size() >= sizeof text.session_file)
    fail("{}: {}", quote(handover.session_file), error_text(ENAMETOOLONG));
  memcpy(text.session_file, handover.session_file.c_str(), handover.session_file.size() + 1);
  struct iovec data = {&text, sizeof text};
  Control control = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = handover.listener.get();
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
    fail("can't reach the supervisor: {}", error_text(errno));
}

bool receive_handover(int socket, Handover* handover) {
  Text text = {};
  struct iovec data = {&text, sizeof text};
  Control control = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t n;
  while ((n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  if (n <= 0) return false;
  if (n != sizeof text || message.msg_controllen < CMSG_LEN(sizeof(int)))
    fail("the supervisor got no listener");
  int fd = -1;
  memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
  handover->listener = UniqueFd(fd);
  handover->options = text.options;
  handover->session_file = text.session_file;
  return true;
}

void send_ready(int socket) { (void)!send(socket, "r", 1, MSG_NOSIGNAL); }

bool receive_ready(int socket) {
  char byte;
  ssize_t n;
  while ((n = recv(socket, &byte, 1, 0)) < 0 && errno == EINTR) {
  }
  return n == 1;
}

pid_t fork_filtered(bool gate, bool strict, const std::function<void()>& become,
                    const std::function<void(UniqueFd, const uint32_t (&pass)[2])>& serve) {
  const bool root = geteuid() == 0;
  FilterOptions options = {gate, !strict, root, {0, 0}, !root};
  if (!strict && getrandom(options.pass, sizeof options.pass, 0) != sizeof options.pass)
    fail("no random numbers: {}", error_text(errno));
  if (gate && !strict) options.loader = find_loader_call(kUsualLoader);
  const std::vector<sock_filter> filter = make_filter(options);
  Pipe installed, ready, apart;
  const auto child = static_cast<pid_t>(
      syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child < 0) fail("can't fork: {}", error_text(errno));
  if (child == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    Result<UniqueFd> listener = install_filter(filter);
    // Only plain reads and writes until somebody answers what the filter stops.
    write_word(installed.write.get(),
               listener.ok() ? listener.value().release() : -listener.error());
    int word;
    if (!read_word(ready.read.get(), &word) || unshare(CLONE_FILES) != 0) _exit(kExitFailure);
    close(word);  // the listener: the keeper has handed it on
    write_word(apart.write.get(), 0);
    become();
    _exit(kExitFailure);
  }
  int word = -EIO;
  if (!read_word(installed.read.get(), &word) || word < 0) {
    ready.write.reset();
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    fail("can't install the filter: {}", error_text(-word));
  }
  try {
    serve(UniqueFd(fcntl(word, F_DUPFD_CLOEXEC, 0)), options.pass);
  } catch (...) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    throw;
  }
  int done;
  write_word(ready.write.get(), word);
  read_word(apart.read.get(), &done);
  close(word);
  return child;
}

}  // namespace ovl
