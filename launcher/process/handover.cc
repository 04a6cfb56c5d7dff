// See handover.h.
#include "launcher/process/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "launcher/descriptor_message.h"
#include "launcher/failure.h"
#include "launcher/supervisor/ability.h"
#include "launcher/supervisor/filter.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

namespace ovl {
namespace {

struct Text {
  SupervisorOptions options;
  char session_file[PATH_MAX];
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
  if (!send_with_descriptor(socket, &text, sizeof text, handover.listener.get()))
    fail("can't reach the supervisor: {}", error_text(errno));
}

bool receive_handover(int socket, Handover* handover) {
  Text text = {};
  const ssize_t n = receive_with_descriptor(socket, &text, sizeof text, &handover->listener);
  if (n <= 0) return false;
  if (n != sizeof text || !handover->listener.valid()) fail("the supervisor got no listener");
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

FilteredChild::FilteredChild(bool gate, bool strict, bool is_volatile,
                             const std::function<void()>& prepare,
                             const std::function<void()>& become) {
  const bool root = geteuid() == 0;
  if (!strict && getrandom(pass_, sizeof pass_, 0) != sizeof pass_)
    fail("no random numbers: {}", error_text(errno));
  FilterOptions options = {gate, !strict, root, {pass_[0], pass_[1]}, !root};
  options.is_volatile = is_volatile;
  if (gate && !strict) options.loader = find_loader_call(kUsualLoader);
  const std::vector<sock_filter> filter = make_filter(options);
  Pipe installed, go;
  const pid_t keeper = getpid();
  int pidfd = -1;  // stays so before Linux 5.2
  pid_ = static_cast<pid_t>(
      syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, nullptr, &pidfd, nullptr, nullptr));
  if (pid_ < 0) fail("can't fork: {}", error_text(errno));
  if (pid_ == 0) be_child(filter, installed.write.get(), go.read.get(), keeper, prepare, become);
  pidfd_ = UniqueFd(pidfd);
  // The other ends are the child's too until try_out().
  installed_ = std::move(installed.read);
  go_ = std::move(go.write);
  installed.write.release();
  go.read.release();
}

FilteredChild::~FilteredChild() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, __WALL);
}

void FilteredChild::be_child(const std::vector<sock_filter>& filter, int installed, int go,
                             pid_t keeper, const std::function<void()>& prepare,
                             const std::function<void()>& become) {
  // Nothing else ends it when the keeper is killed: it has the other end of what it reads.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(kExitFailure);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prepare();
  Result<UniqueFd> listener = install_filter(filter);
  // Only plain reads and writes until somebody answers what the filter stops.
  write_word(installed, listener.ok() ? listener.value().release() : -listener.error());
  if (listener.ok()) make_probe_call();
  int word;
  if (!read_word(go, &word)) _exit(kExitFailure);
  prctl(PR_SET_PDEATHSIG, 0);
  become();
  _exit(kExitFailure);
}

std::vector<std::string> FilteredChild::try_out() {
  struct pollfd wait[] = {{installed_.get(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0}};
  while (poll(wait, std::size(wait), -1) < 0) {
  }
  int word = -EPERM;  // the profile kills whoever tries
  if (wait[0].revents != 0 && !read_word(installed_.get(), &word)) word = -EPERM;
  if (word >= 0) listener_ = UniqueFd(word);
  std::vector<std::string> lines =
      try_supervision(word >= 0 ? Result<int>(word) : Result<int>(Error(-word)), pid_);
  // Before anything is locked: POSIX locks belong to a table of descriptors.
  if (unshare(CLONE_FILES) != 0) fail("can't have own descriptors: {}", error_text(errno));
  return lines;
}

pid_t FilteredChild::let_go() {
  write_word(go_.get(), 0);
  return std::exchange(pid_, -1);
}

}  // namespace ovl
