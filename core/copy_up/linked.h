// Hard links of lowers that stay linked: the copy of such a file stands in the index of the
// workdir, each of its names in the upper is a link to that, and the link count that programs see
// is kept beside it. Kernel counterpart: ovl_link_up(), ovl_set_nlink_upper(),
// ovl_set_nlink_lower(), ovl_nlink_start(), ovl_nlink_end(), ovl_cleanup_index().
//
// The count is told relative to the upper's inode, so that a name that is added or goes changes it
// in the same step. Only a name that comes from the index changes the one and not the other: for
// that time it is told relative to the lower's, which never changes.
#pragma once

#include "core/copy_up/copy_up.h"
#include "core/session/lock.h"
#include "core/sys/object.h"

namespace ovl {

// Puts the whole copy at `temp` into the index. False: somebody else's is there. Requires: the
// entry locked.
Result<bool> publish_in_index(Op& op, Temp& temp, CStr entry);

// Gives the inode in the index the name of `node` in the upper. False: the name is taken, or the
// entry gone. Requires: a Mutation with the directory and the entry locked; `dir`, the node's
// directory, is in the upper.
Result<bool> link_from_index(Op& op, const Node& node, const Node& dir, CStr entry);

// Takes the inode out of the index, whose names are all in the upper. `lower`: the link count of
// what it was copied from, or 0. The count that programs see is then told relative to that one, and
// is right after each step. What stands in an index besides inodes goes without more ado.
Result<void> leave_index(Op& op, const Overlay& overlay, CStr entry, uint32_t lower);
// What a kill may have left of that. `marked`: what carries the private xattrs of the inode.
Result<void> forget_index(const Overlay& overlay, const Object& marked);

// Makes a name that is about to go one that can be counted: of a hard link of the lower the inode
// has to be in the index, and the name in the upper. Requires: no Mutation held.
// False: it can't be brought. True: to be looked at again with the place locked, since the name may
// be another lower's by then.
Result<bool> bring_to_count(Op& op, const Node& node);
bool is_to_be_counted(const Node& node);

// The link count of an indexed file while a name of it is added or goes. Of another file: nothing.
class LinkCount {
 public:
  // Locks the entry. Requires: a Mutation with the directories locked, and no other entry.
  Result<void> hold(Op& op, Mutation& mutation, const Node& node);
  // A name has gone: with the last one the entry goes. Best effort: nobody finds it any more.
  void lost_name() const;

 private:
  CStr entry_;
  uint32_t nlink_ = 0;  // that programs see
};

// What a kill has left told relative to the lower's, which a name that moves away from it loses.
// Requires: no Mutation held.
Result<void> settle_count(Op& op, const Node& node);

}  // namespace ovl
