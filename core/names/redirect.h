// Where a merged or lower directory's lowers are to be found after it has moved. Kernel
// counterpart: ovl_set_redirect(), ovl_get_redirect().
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

// Writes the redirect that lets the upper directory of `dir` (merged, in the upper) be moved:
// relative where it stays in its directory, else absolute; one that it has stays as long as it is
// true there. Requires: an exclusive Mutation. Errors: EXDEV (longer than the format has room for).
Result<void> set_redirect(Op& op, const Node& dir, bool same_directory);

// The path that a directory has (or had, before it is moved) in the lowers of its overlay, relative
// to their roots. EXDEV: it is too long to be named.
Result<Str> lower_path(Op& op, const Node& dir);

}  // namespace ovl
