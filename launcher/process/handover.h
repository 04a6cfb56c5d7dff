// How the listener comes from the command, which installs the filter, to the supervisor: the
// command is made with the keeper's own descriptor table, so that it needs no call that the filter
// would stop; the keeper hands the descriptor on. On the way it finds out what is possible here.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "launcher/supervisor/supervisor.h"

namespace ovl {

// What the supervisor gets to begin with.
struct Handover {
  UniqueFd listener;
  SupervisorOptions options;
  std::string session_file;
};

// Between keeper and supervisor, over a socket pair. Throws Failure.
void send_handover(int socket, const Handover& handover);
// False: the keeper is gone. Throws Failure.
bool receive_handover(int socket, Handover* handover);
// The supervisor is ready; false: it is gone.
void send_ready(int socket);
bool receive_ready(int socket);

// The child that is to become the command, with the filter; it waits until it may. Requires: one
// thread, all signals blocked. Killed and waited for unless it was let go.
class FilteredChild {
 public:
  // `gate`: as in FilterOptions; `strict`: 32-bit programs are not served (what resolves outside is
  // done on copied arguments only for 64-bit ones); `is_volatile`: as in FilterOptions. In the
  // child `prepare` runs before it has the filter, `become` when it was let go: it must not return.
  // Throws Failure.
  FilteredChild(bool gate, bool strict, bool is_volatile, const std::function<void()>& prepare,
                const std::function<void()>& become);
  FilteredChild(const FilteredChild&) = delete;
  FilteredChild& operator=(const FilteredChild&) = delete;
  ~FilteredChild();

  // What a supervisor lacks here, one line each (ability.h). From then on the caller's descriptors
  // are its own again.
  std::vector<std::string> try_out();
  // To be handed to the supervisor, once; the words of the filter's pass.
  UniqueFd take_listener() { return std::move(listener_); }
  const uint32_t (&pass() const)[2] { return pass_; }
  pid_t let_go();

 private:
  [[noreturn]] void be_child(const std::vector<sock_filter>& filter, int installed, int go,
                             pid_t keeper, const std::function<void()>& prepare,
                             const std::function<void()>& become);
  uint32_t pass_[2] = {0, 0};
  pid_t pid_ = -1;
  UniqueFd pidfd_, installed_, go_, listener_;
};

}  // namespace ovl
