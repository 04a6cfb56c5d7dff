// The keeper; see run.h.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "launcher/failure.h"
#include "launcher/process/channel.h"
#include "launcher/process/handover.h"
#include "launcher/process/run.h"
#include "launcher/process_stat.h"
#include "launcher/session/join.h"
#include "launcher/session/start.h"

namespace ovl {
namespace {

class Keeper {
 public:
  // `supervisor`: socket to it, or -1.
  Keeper(int channel, int supervisor, pid_t front, pid_t command)
      : channel_(channel), supervisor_(supervisor), front_(front), command_(command) {}

  // Until the last descendant is gone.
  void keep(int signals, std::unique_ptr<HeldSession> session) {
    while (true) {
      struct pollfd wait[] = {{signals, POLLIN, 0}, {channel_, POLLIN, 0}, {supervisor_, 0, 0}};
      if (poll(wait, std::size(wait), -1) < 0) continue;
      if (wait[1].revents != 0) hear();
      if (wait[2].revents != 0) tell_of_supervisor();
      if (wait[0].revents == 0) continue;
      struct signalfd_siginfo info;
      if (read(signals, &info, sizeof info) <= 0 || info.ssi_signo != SIGCHLD) continue;
      const bool some_left = reap();
      if (!some_left) break;
      if (end_status_) {
        session->command_has_ended();
        tell_errors(*session);
      }
      tell_end(false);
    }
    // Nobody is left: the upper is free again before the front returns, so that the next session
    // can have it.
    while (channel_ >= 0 && !front_is_ready_) hear();
    if (session->is_joined()) {
      if (end_status_) tell_errors(*session);
      tell_end(false);
      session->wait_until_left();
      session->command_has_ended();
    }
    tell_errors(*session);
    session->end();
    session.reset();
    tell_end(true);
  }

 private:
  // The supervisor has been killed, or is no more for whatever reason: what it served fails with
  // ENOSYS from now on. Told where the command would tell it: the keeper has no standard error.
  void tell_of_supervisor() {
    supervisor_ = -1;
    if (command_ <= 0) return;
    complain_through(
        command_,
        "the session's supervisor was killed: calls that do not come through the preload "
        "object fail (ENOSYS) from now on");
  }

  // A message of the front. When it is gone the command goes on without it.
  void hear() {
    Message message;
    if (!receive_message(channel_, &message)) {
      channel_ = -1;
      return;
    }
    if (message.kind == Message::kReady) front_is_ready_ = true;
    if (message.kind == Message::kTold) front_has_told_ = true;
    if (command_ <= 0) return;
    if (message.kind == Message::kSignal) {
      if (message.queued != 0) {
        union sigval value;
        value.sival_ptr =
            reinterpret_cast<void*>(message.payload);  // NOLINT(performance-no-int-to-ptr)
        sigqueue(command_, message.value, value);
      } else {
        kill(command_, message.value);
      }
    } else if (message.kind == Message::kResume && is_stopped(command_)) {
      // Only from the stop that the front has seen: it may have been continued and stopped again
      // since.
      reap();
      if (command_ > 0 && stops_ == message.payload) kill(command_, SIGCONT);
    }
  }

  // False when nobody is left.
  bool reap() {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
      if (pid != command_) continue;
      if (WIFSTOPPED(status)) {
        send(Message{Message::kStopped, WSTOPSIG(status), 0, ++stops_});
      } else if (WIFCONTINUED(status)) {
        send(Message{Message::kContinued, 0, 0, 0});
        wake_front();  // somebody continued the command alone
      } else {
        end_status_ = status;
        command_ = -1;
      }
    }
    return pid == 0;
  }

  // What the command wrote goes to the disk. Somebody is told what failed, or the next session is.
  void tell_errors(HeldSession& session) {
    const UpperErrors errors = session.write_out();
    if (!any(errors)) return;
    front_has_told_ = false;
    Message message{Message::kErrors, 0, 0, 0};
    message.errors = errors;
    send(message);
    wake_front();
    while (channel_ >= 0 && !front_has_told_) hear();
    session.errors_were_told(errors, front_has_told_);
  }

  void tell_end(bool of_session) {
    if (!end_status_) return;
    send(Message{Message::kEnded, *end_status_, 0, of_session});
    wake_front();  // killed while stopped
    end_status_.reset();
  }

  void send(const Message& message) {
    if (channel_ >= 0) send_message(channel_, message);
  }
  void wake_front() {
    if (channel_ >= 0 && is_stopped(front_)) kill(front_, SIGCONT);
  }

  int channel_;
  int supervisor_;
  pid_t front_;
  pid_t command_;
  std::optional<int> end_status_;  // of the command; not told yet
  bool front_is_ready_ = false;
  bool front_has_told_ = false;
  int64_t stops_ = 0;  // of the command, so far
};

// The child that has the filter, if there can be one here. Says what is missing. `ways`: wanted,
// then chosen.
std::unique_ptr<FilteredChild> make_filtered(const RunOptions& options, Ways* ways,
                                             const std::function<void()>& become) {
  if (!ways->supervisor) return nullptr;
  const bool own_exec = ways->preload;
  auto child = std::make_unique<FilteredChild>(
      ways->preload, options.strict, options.is_volatile, [own_exec] { prepare_command(own_exec); },
      become);
  *ways = choose_ways(options, child->try_out());
  if (!ways->supervisor) return nullptr;
  return child;
}

// Lets the child go and waits for the supervisor: meanwhile the command gets as far as its first
// call that the filter stops, where it waits as long as the listener is open. False: there is no
// supervisor, which has said why, and no command any more.
bool let_go(const RunOptions& options, FilteredChild& child, const std::string& session_file,
            int supervisor, pid_t* command) {
  const auto& pass = child.pass();
  const Handover handover = {
      child.take_listener(), {{pass[0], pass[1]}, options.strict}, session_file};
  send_handover(supervisor, handover);
  *command = child.let_go();
  if (receive_ready(supervisor)) return true;
  kill(*command, SIGKILL);
  waitpid(*command, nullptr, 0);
  return false;
}

pid_t fork_plain(const std::function<void()>& become) {
  const pid_t command = fork();
  if (command < 0) fail("can't fork: {}", error_text(errno));
  if (command == 0) {
    prepare_command(false);
    become();
  }
  return command;
}

}  // namespace

void be_keeper(const RunOptions& options, const Plan& plan, const Ways& wanted,
               const CallerSignals& signals, int channel, pid_t front, int supervisor) {
  try {
    const UniqueFd signal_fd = all_signals_fd();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    Ways ways = wanted;
    // Of an inner session it is known when the session is there; such a one has no filter.
    std::string file = plan.around == nullptr ? session_file(plan) : "";
    const auto become = [&] {
      // Before the command can do anything.
      send_message(channel, Message{Message::kStarted, getpid(), 0, 0});
      become_command(options, file, ways, signals);
    };
    // Before anything is touched.
    const std::unique_ptr<FilteredChild> filtered = make_filtered(options, &ways, become);
    if (filtered == nullptr && supervisor >= 0) close(std::exchange(supervisor, -1));
    std::unique_ptr<HeldSession> session;
    if (plan.joins)
      session = std::make_unique<JoinedSession>(plan);
    else
      session = std::make_unique<RunningSession>(plan, options, ways);
    file = session->file();
    session->show_to_supervisor(front);
    pid_t command;
    if (filtered == nullptr) {
      command = fork_plain(become);
    } else if (!let_go(options, *filtered, file, supervisor, &command)) {
      session->end();
      session.reset();
      complain("the supervisor could not start");
      send_message(channel, Message{Message::kEnded, W_EXITCODE(kExitFailure, 0), 0, 0});
      _exit(kExitFailure);
    }
    // Only now: a child of a new session could not go back to the caller's.
    setsid();
    std::vector<int> keep = session->descriptors();
    keep.insert(keep.end(), {channel, signal_fd.get()});
    if (supervisor >= 0) keep.push_back(supervisor);
    keep_only(keep);
    (void)!chdir("/");
    Keeper(channel, supervisor, front, command).keep(signal_fd.get(), std::move(session));
    _exit(0);
  } catch (const Failure& failure) {
    complain(failure.what());
    _exit(failure.status());
  } catch (const std::exception& error) {
    complain(error.what());
    _exit(kExitFailure);
  }
}

}  // namespace ovl
