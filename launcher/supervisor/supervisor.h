// Serves the calls that the filter traps: each becomes one operation of the core, on behalf of the
// task that is blocked in it.
#pragma once

#include <cstdint>

#include "core/base/unique_fd.h"
#include "core/session/session.h"
#include "launcher/supervisor/assist.h"
#include "launcher/supervisor/crew.h"
#include "launcher/supervisor/held_files.h"
#include "launcher/supervisor/remote_caller.h"
#include "launcher/supervisor/views.h"

namespace ovl {

class Identity;

struct SupervisorOptions {
  uint32_t pass[2];  // as in the filter
  bool strict;
};

class Supervisor {
 public:
  // The session is attached and outlives the supervisor. Makes this process fit for it (limits,
  // current directory). Requires: all signals are blocked.
  Supervisor(UniqueFd listener, Session& session, const SupervisorOptions& options);

  // Returns at once; the threads end with the process.
  // Throws Failure when there can be no thread.
  void start();
  int listener() const { return listener_.get(); }

 private:
  void work();
  Outcome serve(Notification& call, Identity& identity);
  // Answers what serve() came to, unless it has.
  void finish(Notification& call, const Outcome& outcome);

  const UniqueFd listener_;
  Views views_;
  Assist assist_;
  Crew crew_;
  HeldFiles held_;
  RemoteContext context_;
};

}  // namespace ovl
