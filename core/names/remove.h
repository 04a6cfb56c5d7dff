// Taking names away. Kernel counterpart: ovl_do_remove(), ovl_remove_and_whiteout(),
// ovl_remove_upper(), ovl_clear_empty().
#pragma once

#include "core/names/place.h"

namespace ovl {

// Removes a non-directory. Requires: a Mutation with the directory locked, place.node exists;
// permission has been asked.
Result<void> remove_file(Op& op, const Place& place);

// Does a directory show as empty? One that the kernel's mount has closed to us is opened for that.
// Requires: an exclusive Mutation.
Result<bool> is_empty(Op& op, const Node& dir);

// Removes a directory that shows as empty. Requires: an exclusive Mutation, place.node is a
// directory; permission has been asked. Errors: ENOTEMPTY.
Result<void> remove_directory(Op& op, const Place& place);

// Replaces the upper's directory, which shows as empty, by one that really is empty, opaque, with
// the same metadata: another can be renamed over it. Does nothing when it is empty already.
// Requires: an exclusive Mutation, dir is in the upper.
Result<void> clear_empty(Op& op, const Node& dir);

}  // namespace ovl
