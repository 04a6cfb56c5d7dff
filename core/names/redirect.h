// Where what is below an object is to be found after it has moved. Kernel
// counterpart: ovl_set_redirect(), ovl_get_redirect().
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

// Writes the redirect that lets the upper's object of `node` (a merged directory or a metacopy, in
// the upper) be moved: relative where it stays in its directory, else absolute; one that it has
// stays as long as it is true there. A metacopy with other names, in the upper or in its lower,
// gets an absolute one: they may stand in other directories. Requires: a Mutation, exclusive for a
// directory. Errors: EXDEV (longer than the format has room for).
Result<void> set_redirect(Op& op, const Node& node, bool same_directory);

// Brings a file to where it may get another name: as a metacopy, where a redirect can lead to its
// data, else with all of it. Requires: no Mutation held, node is no directory.
Result<void> bring_to_move(Op& op, const Node& node, bool same_directory);
// Has that been done? What a directory needs is done in set_redirect().
Result<bool> can_move(Op& op, const Node& node, bool same_directory);

// The path that an object has (or had, before it is moved) in the lowers of its overlay, relative
// to their roots. EXDEV: it is too long to be named.
Result<Str> lower_path(Op& op, const Node& node);

}  // namespace ovl
