// Descriptors follow their file: one that was opened to read a lower's file goes on with the
// upper's once the data is there, under its number, with its flags and position. Each process looks
// for itself before it reads the next time, when the session tells that there is something to do.
// The supervisor replaces: it gives the same open file to all who had one in common. Where there is
// none, each process does that for itself. Kernel counterpart: ovl_real_file().
#pragma once

#include "core/caller/op.h"
#include "core/session/readers.h"

namespace ovl {

// Descriptors of the caller that became stale are made to follow. What can't follow (no name leads
// to its copy any more, no descriptor is free) stays as it is.
void follow_copies(Op& op);

// How a task with a gate asks the supervisor for that: flags of a faccessat2(2) that it makes from
// outside of the gate. Nobody else has a use for them.
constexpr unsigned kFollowRequest = 0x6f766c66;

// Is this a program's own task, and there is a supervisor that does what it can't?
inline bool can_ask_supervisor(Op& op) {
  return op.session().segment().supervised != 0 && !op.caller().has_own_descriptors();
}

// A directory's descriptor takes the place that it was given by another process that shares it.
// Best effort; not when something was read by it. Requires: this is the supervisor.
void follow_shared_directory(Op& op, int fd);

// Is the descriptor open on a file or directory of a lower that has an upper above it? EBADF.
Result<bool> can_be_brought(Op& op, int fd);

// What locks need: such a descriptor comes to be one on the copy in the upper, which is made where
// there is none. Errors: as copy_up(); EMFILE: of want of a descriptor, or the supervisor is to do
// it; ENOTSUP: it could not be replaced.
Result<void> bring_descriptor(Op& op, int fd);

// Requires: nothing. One load while nothing was copied up under a reader.
inline void follow_if_stale(Op& op) {
  const uint64_t count = stale_count(op.session());
  if (count != 0 && op.caller().followed() != count) follow_copies(op);
}

}  // namespace ovl
