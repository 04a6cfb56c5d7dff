// Moving and exchanging names. Kernel counterpart: ovl_rename().
#pragma once

#include "core/names/place.h"

namespace ovl {

// Can the directory move at all? EXDEV for a merged or lower one where redirects are not to be
// written. Other nodes: yes.
Result<void> may_move(const Node& node);

// Requires: a Mutation (exclusive when a directory is among them) with both directories locked;
// from.node exists, and can_move(); permissions and
// types have been checked. On failure nothing that programs see has changed. Errors: ENOTEMPTY,
// EXDEV, what rename(2) gives.
Result<void> move_name(Op& op, const Place& from, const Place& to);

// The same of both.
Result<void> exchange_names(Op& op, const Place& from, const Place& to);

}  // namespace ovl
