// The data of a metacopy. Kernel counterpart: ovl_copy_up_meta_inode_data().
#pragma once

#include "core/copy_up/copy_up.h"

namespace ovl {

// Brings the data (kAll) or the end of it (kDrop) to a metacopy, in place: descriptors and hard
// links stay on the inode. The marker's going is the one step that programs see; what they see
// until then is kept beside it, so a kill in the middle leaves a metacopy as before. False: nothing
// was done here, since somebody else did it, or the name has changed hands meanwhile: look the node
// up again. Requires: node.metacopy(), no Mutation held.
Result<bool> complete(Op& op, const Node& node, Data data);

// Makes a metacopy that a kill has left in the middle of that one as any other, before its
// attributes change. Requires: node.filling(), its Completion.
Result<void> give_up_filling(Op& op, const Node& node);

}  // namespace ovl
