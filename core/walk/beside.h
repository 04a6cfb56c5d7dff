// Private xattrs of an upper's objects that can't carry them: user.* stands on files and
// directories only. Those of a symlink, FIFO, socket or device stand on an empty file of their own,
// its *companion*: <work>/ovlrun/beside/<what identifies the inode>. All names of a hard link have
// one, renames leave it where it is, and one whose inode is no more never becomes another's, since
// a file handle has the inode's generation. Under the prefix trusted the objects carry them
// themselves, as the kernel has it.
#pragma once

#include "core/caller/op.h"
#include "core/format/format.h"
#include "core/sys/object.h"
#include "core/walk/node.h"

namespace ovl {

// Do private xattrs of an object with this real type, in this overlay's upper, stand beside it?
inline bool stands_beside(const Overlay& overlay, mode_t real_mode) {
  return overlay.has_beside && !S_ISREG(real_mode) && !S_ISDIR(real_mode);
}
// Does any of the session's uppers have a companion? Until then nobody looks for one.
inline bool any_beside(const Op& op) {
  return op.session().state().beside_used.load(std::memory_order_acquire) != 0;
}

// Which private xattrs the object itself has.
Result<PrivSet> read_private(Op& op, XattrFormat format, CStr real, mode_t real_mode);

// Path of the companion, whether or not it is there; empty: the object has no handle.
Result<CStr> beside_path(Op& op, const Overlay& overlay, const Object& object);

// Sets node->beside and node->priv from the companion, if there is one.
Result<void> find_beside(Op& op, const Overlay& overlay, const Object& object, Node* node);

// Writes a private xattr to the companion at this path, which is made when it is missing. What it
// has is told in one step, so that nothing has to be done before that.
Result<void> set_beside(Op& op, const Overlay& overlay, CStr companion, Priv which, Str value);

// What the private xattrs of a node are read from; `top`: its topmost object.
inline Object marked_object(const Node& node, const Object& top) {
  return node.beside.empty() ? top : Object::at(node.beside);
}

// A name that goes: with the last one of its inode the companion goes. Best effort, since nobody
// finds it any more.
class LastName {
 public:
  // Before. Requires: the directory is locked and the node looked up since.
  void hold(const Node& node);
  // The name has gone.
  void lost_name() const;

 private:
  UniqueFd inode_;
  CStr companion_;
};

}  // namespace ovl
