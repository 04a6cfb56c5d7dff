// Lower layers that only give data: no name in them is seen. Kernel counterpart:
// ovl_lookup_data_layers(), which looks when the data are asked for, not before.
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

// Where the data of a metacopy are that no layer with names has. `last`: the lowest metacopy; its
// absolute redirect tells. `found->path` stays empty where there are none.
Result<void> find_data(Op& op, const LowerRef& last, LowerRef* found);

// Had the node's object, which has data of its own by now, those at this real path before? Then a
// descriptor there is one on it.
bool had_data_at(Op& op, const Node& node, CStr real);

}  // namespace ovl
