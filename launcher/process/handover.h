// How the listener comes from the command, which installs the filter, to the supervisor: the
// command is made with the keeper's own descriptor table, so that it needs no call that the filter
// would stop; the keeper hands the descriptor on.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

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

// Forks a child that has the filter: `gate` as there; `strict`: 32-bit programs are not served
// (what resolves outside is done on copied arguments only for 64-bit ones). Requires: one thread.
// In the child, `become` runs when the supervisor is ready; it must not return. In the parent
// `serve` gets the listener and returns when the supervisor is ready. Throws Failure.
pid_t fork_filtered(bool gate, bool strict, const std::function<void()>& become,
                    const std::function<void(UniqueFd, const uint32_t (&pass)[2])>& serve);

}  // namespace ovl
