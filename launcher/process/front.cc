// The front; see run.h.
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "launcher/failure.h"
#include "launcher/process/channel.h"
#include "launcher/process/report.h"
#include "launcher/process/run.h"
#include "launcher/process/turns.h"
#include "launcher/process_stat.h"
#include "launcher/session/start.h"

namespace ovl {
namespace {

// Ends as the command did, without a second core dump.
[[noreturn]] void die_by(int signal_number) {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  signal(signal_number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal_number);
  raise(signal_number);
  sigprocmask(SIG_UNBLOCK, &one, nullptr);
  _exit(128 + signal_number);  // not reached: a signal that ended the command ends this too
}

// Stops this process as the command was stopped, until somebody continues it. When that happened
// already, the command runs again, or the signal that is pending here was discarded with it
// (SIGCONT does that).
void stop_by(int signal_number, pid_t command) {
  struct sigaction normal = {}, old;
  normal.sa_handler = SIG_DFL;
  sigaction(signal_number, &normal, &old);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal_number);
  if (signal_number != SIGSTOP || is_stopped(command)) raise(signal_number);
  if (signal_number != SIGSTOP && !is_stopped(command)) {
    normal.sa_handler = SIG_IGN;  // discards what is pending
    sigaction(signal_number, &normal, nullptr);
  }
  sigprocmask(SIG_UNBLOCK, &one, nullptr);  // stops here
  sigprocmask(SIG_BLOCK, &one, nullptr);
  if (signal_number != SIGSTOP) sigaction(signal_number, &old, nullptr);
}

class Front {
 public:
  // `inner`: a session around this one sees its processes come and go.
  Front(int channel, pid_t keeper, bool inner)
      : channel_(channel), keeper_(keeper), inner_(inner) {}

  // Until the command has ended. Returns its wait status.
  int wait_for_command(int signals, const std::function<void()>& on_start,
                       const std::function<void(const UpperErrors&)>& on_errors) {
    while (true) {
      struct pollfd wait[2] = {{channel_, POLLIN, 0}, {signals, POLLIN, 0}};
      if (poll(wait, 2, -1) < 0) continue;
      struct signalfd_siginfo info;
      if (wait[1].revents != 0 && read(signals, &info, sizeof info) > 0) pass_on(info);
      if (wait[0].revents == 0) continue;
      Message message;
      if (!receive_message(channel_, &message)) return without_keeper();
      if (message.kind == Message::kStarted) {
        command_ = message.value;
        on_start();
        send_message(channel_, Message{Message::kReady, 0, 0, 0});
      }
      if (message.kind == Message::kErrors) {
        on_errors(message.errors);
        send_message(channel_, Message{Message::kTold, 0, 0, 0});
      }
      if (message.kind == Message::kEnded) {
        // A session around this one would take the keeper for something that the command left.
        if (message.payload != 0 && inner_) waitpid(keeper_, nullptr, 0);
        return message.value;
      }
      if (message.kind == Message::kStopped) {
        last_stop_ = message.payload;
        stop_by(message.value, command_);
      }
    }
  }

 private:
  // The keeper is gone and the command has not ended: either the start failed (and was told about),
  // or somebody killed the keeper. Then this process, the next subreaper, has inherited the
  // command; the supervisor serves it as before.
  int without_keeper() {
    int status = 0;
    if (command_ <= 0) {
      waitpid(keeper_, &status, 0);
      return WIFEXITED(status) ? status : W_EXITCODE(kExitFailure, 0);
    }
    complain_through(command_, "the session's keeper was killed; the command goes on");
    wait_for_inheritance();
    pid_t pid;
    while ((pid = waitpid(command_, &status, 0)) < 0 && errno == EINTR) {
    }
    return pid == command_ ? status : W_EXITCODE(kExitFailure, 0);
  }

  // The keeper's end of the channel is closed a little before its children are given away.
  void wait_for_inheritance() const {
    ProcessStat stat;
    if (!read_process_stat(command_, &stat) || stat.parent == getpid()) return;
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, stat.parent, 0)));
    struct pollfd wait = {pidfd.get(), POLLIN, 0};
    while (pidfd.valid() && poll(&wait, 1, -1) < 0) {
    }
  }

  void pass_on(const struct signalfd_siginfo& info) {
    const int number = static_cast<int>(info.ssi_signo);
    if (number == SIGCHLD) return;
    if (number == SIGCONT) {
      send_message(channel_, Message{Message::kResume, 0, 0, last_stop_});
      return;
    }
    if (info.ssi_code == SI_KERNEL && from_terminal(number)) return;
    if (info.ssi_code == SI_USER && sent_from_below(static_cast<pid_t>(info.ssi_pid))) return;
    send_message(channel_, Message{Message::kSignal, number, info.ssi_code == SI_QUEUE,
                                   static_cast<int64_t>(info.ssi_ptr)});
  }

  // Signals that the kernel sends to the terminal's whole process group: the command has got its
  // own. A hang-up goes to the session leader alone.
  static bool from_terminal(int number) {
    switch (number) {
      case SIGINT:
      case SIGQUIT:
      case SIGTSTP:
      case SIGTTIN:
      case SIGTTOU:
      case SIGWINCH:
        return true;
      case SIGHUP:
        return getsid(0) != getpid();
      default:
        return false;
    }
  }

  // A program below ovlrun that signals its own process group means us only by the way.
  bool sent_from_below(pid_t sender) const {
    ProcessStat stat;
    while (sender > 1 && sender != keeper_)
      sender = read_process_stat(sender, &stat) ? stat.parent : 0;
    return sender == keeper_;
  }

  int channel_;
  pid_t keeper_;
  bool inner_;
  pid_t command_ = 0;
  int64_t last_stop_ = 0;
};

}  // namespace

int run_command(const RunOptions& options, const Plan& plan, const Ways& ways) {
  const CallerSignals signals = take_signals();
  take_short_turns();
  Channel channel = make_channel();
  const UniqueFd signal_fd = all_signals_fd();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t front = getpid();
  const pid_t keeper = fork();
  if (keeper < 0) fail("can't fork: {}", error_text(errno));
  if (keeper == 0) {
    channel.front.reset();
    const int to_front = channel.keeper.release();
    if (ways.supervisor) be_supervisor(options, plan, ways, signals, to_front, front);
    be_keeper(options, plan, ways, signals, to_front, front, -1);
  }
  EndReport report(options, plan);
  // Standard error too: at the end it may have to say that something was lost.
  keep_only({channel.front.get(), signal_fd.get(), STDERR_FILENO});
  const int status = Front(channel.front.get(), keeper, plan.around != nullptr)
                         .wait_for_command(
                             signal_fd.get(), [&] { report.start(); },
                             [&](const UpperErrors& errors) { report.tell(errors); });
  report.print();
  if (WIFSIGNALED(status)) die_by(WTERMSIG(status));
  const int own = WEXITSTATUS(status);
  return own == 0 && report.told_errors() ? kExitFailure : own;
}

}  // namespace ovl
