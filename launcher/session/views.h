// The list of inner sessions, in the state that they share with the one around: by it a supervisor
// finds out which session a task is in that tells it by nothing of its own. Tasks of a session are
// the descendants of its keeper, or, when that was killed, of its front: both are subreapers.
#pragma once

#include <sys/types.h>

#include "core/session/session.h"

namespace ovl {

// Puts the session of this process, its keeper, on the list. Throws Failure when that is full.
void register_view(Session& session, pid_t front, uint32_t own_overlays);
// Takes it off. Requires: no task of it is left.
void unregister_view(const Session& session);

}  // namespace ovl
