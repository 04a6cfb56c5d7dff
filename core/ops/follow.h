// Descriptors follow their file: one that was opened to read a lower's file goes on with the
// upper's once the data is there, under its number, with its flags and position. Each process does
// it for itself before it reads the next time, when the session tells that there is something to
// do; the supervisor does it for those that it serves. Kernel counterpart: ovl_real_file().
#pragma once

#include "core/caller/op.h"
#include "core/session/readers.h"

namespace ovl {

// Descriptors of the caller that became stale are made to follow. What can't follow (no name leads
// to its copy any more, no descriptor is free) stays as it is. False: for want of a descriptor, or,
// where it may be handed over, since the supervisor is to do it, which closes none of the caller's.
enum class HandOver : bool { kNo, kYes };
bool follow_copies(Op& op, HandOver hand_over = HandOver::kYes);

// Is the descriptor open on a file or directory of a lower that has an upper above it? EBADF.
Result<bool> can_be_brought(Op& op, int fd);

// What locks need: such a descriptor comes to be one on the copy in the upper, which is made where
// there is none. Errors: as copy_up(), of want of a descriptor; ENOTSUP: it could not be replaced.
Result<void> bring_descriptor(Op& op, int fd);

// Requires: nothing. One load while nothing was copied up under a reader.
inline void follow_if_stale(Op& op) {
  const uint64_t count = stale_count(op.session());
  if (count != 0 && op.caller().followed() != count) (void)follow_copies(op);
}

}  // namespace ovl
