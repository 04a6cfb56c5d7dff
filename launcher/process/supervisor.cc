// The supervisor's process; see run.h.
#include "launcher/supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "launcher/failure.h"
#include "launcher/process/channel.h"
#include "launcher/process/handover.h"
#include "launcher/process/run.h"

namespace ovl {
namespace {

// Until the keeper has ended: then nobody is left. Returns its wait status.
int wait_for(pid_t keeper) {
  int status = 0;
  while (waitpid(keeper, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Until the last task below the filter is gone.
void wait_for_tasks(int listener) {
  struct pollfd state = {listener, 0, 0};
  while (poll(&state, 1, -1) < 0 || (state.revents & POLLHUP) == 0) {
  }
}

}  // namespace

void be_supervisor(const RunOptions& options, const Plan& plan, const Ways& wanted,
                   const CallerSignals& signals, int channel, pid_t front) {
  try {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      fail("can't make a socket pair: {}", error_text(errno));
    const pid_t keeper = fork();
    if (keeper < 0) fail("can't fork: {}", error_text(errno));
    if (keeper == 0) {
      close(ends[0]);
      be_keeper(options, plan, wanted, signals, channel, front, ends[1]);
    }
    setsid();
    close(ends[1]);
    close(channel);
    Handover handover;
    std::unique_ptr<Session> session;
    std::unique_ptr<Supervisor> supervisor;
    if (receive_handover(ends[0], &handover)) {
      session = std::make_unique<Session>();
      const std::string& file = handover.session_file;
      const Result<void> attached = session->attach(CStr(file.c_str(), file.size()));
      if (!attached.ok()) fail("{}: {}", quote(file), error_text(attached.error()));
      supervisor =
          std::make_unique<Supervisor>(std::move(handover.listener), *session, handover.options);
      // Before it serves: from then on its threads have descriptors of their own.
      close_others({ends[0], supervisor->listener()});
      supervisor->start();
      leave_standard_streams({});
      send_ready(ends[0]);
    } else {  // there is none, or the keeper has given up
      keep_only({});
      (void)!chdir("/");
    }
    const int status = wait_for(keeper);
    // Somebody has killed it. What it kept goes on, with the front or nobody to wait for it.
    if (WIFSIGNALED(status) && supervisor != nullptr) wait_for_tasks(supervisor->listener());
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailure);
  } catch (const std::exception& error) {
    complain(error.what());
    _exit(kExitFailure);
  }
}

}  // namespace ovl
