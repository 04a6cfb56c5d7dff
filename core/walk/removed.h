// A directory that a task is in, or has open, after its name has gone. Nothing can be found in it;
// it is itself, and has the parent that it had. Kernel counterpart: a dentry that d_delete() has
// unhashed, IS_DEADDIR().
#pragma once

#include "core/caller/descriptor_link.h"
#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

// What the kernel writes behind a path whose object has lost its name. A name may end so too.
inline constexpr Str kDeletedMark(" (deleted)");
inline bool has_deleted_mark(Str real) {
  return real.size() > kDeletedMark.size() &&
         real.sub(real.size() - kDeletedMark.size()) == kDeletedMark;
}

// A directory (or file) that the caller holds: a link of procfs that leads to it, and the
// descriptor, or -1.
struct Held {
  CStr link;
  int fd = -1;
};

// Is the node, found by what a real path of some layer maps back to, (still) made of the object
// there?
bool stands_for(const Node& node, Str real);

struct Removed {
  const Node* node = nullptr;  // made up: a directory without a name
  Orphan orphan;               // of a layer
  CStr link;                   // for this process
  CStr real;                   // its last name, as the kernel calls it
  bool known = false;          // to the kernel, that it was removed
};
// Errors: ENOTDIR; ENOENT (it is not below this root).
Result<Removed> removed_directory(Op& op, const Held& held);

// Errors: ENOENT (it has been removed as well, or is not known: one that held a whiteout was put
// aside before it was removed).
Result<const Node*> parent_of(Op& op, const Removed& removed);

// Did the kernel remove the object behind this link, or what it is called only looks so?
bool is_marked_removed(Op& op, const Held& held, Str real);

}  // namespace ovl
