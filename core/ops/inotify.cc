// inotify_add_watch(2). A watch stands on a real inode: on the upper's, where later changes happen.
// What is watched is brought there first: a directory, so that what is made in it is seen; a file
// as a metacopy, which gets its data in place. Kernel counterpart: none; there the overlay's own
// inode is watched.
#include <sys/inotify.h>

#include "core/attr/attr.h"
#include "core/copy_up/copy_up.h"
#include "core/ops/ops.h"
#include "core/session/lock.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

// Where it can't come (a full disk, a file that the user may not read), it is watched where it is.
Result<const Node*> bring_to_watch(Op& op, const Node& node, unsigned mask) {
  if (node.in_upper() || node.overlay->upper_layer == nullptr) return &node;
  if (node.is_dir()) {
    Mutation mutation(op.session(), Mutation::Topology::kShared);
    return copy_up_dir(op, *TRY(again(op, node)));
  }
  if (!node.is_regular()) return &node;
  // Without the data, readers open the lower's file.
  constexpr unsigned kOfReaders = IN_ACCESS | IN_OPEN | IN_CLOSE_NOWRITE;
  const Data data = (mask & kOfReaders) != 0 ? Data::kAll : Data::kNone;
  const Result<const Node*> now = copy_up(op, node, data);
  return now.ok() ? now.value() : &node;
}

}  // namespace

Outcome op_inotify_add_watch(Op& op, int fd, UserPath user_path, unsigned mask) {
  constexpr unsigned kKnown = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR |
                              IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD |
                              IN_ISDIR | IN_ONESHOT;
  if ((mask & kKnown) == 0) return Error(EINVAL);
  CStr path = TRY(op.caller().copy_in_path(op.arena(), user_path));
  Walked w =
      TRY(walk_existing(op, AT_FDCWD, path, (mask & IN_DONT_FOLLOW) ? 0u : unsigned{kFollow}));
  if (w.native) return Outcome::native();
  if (w.outside())
    return op.caller().raw(SYS_inotify_add_watch, fd,
                           reinterpret_cast<long>(w.outside_path.c_str()), mask, 0, 0, 0);
  if ((mask & IN_ONLYDIR) && !w.node->is_dir()) return Error(ENOTDIR);
  TRY(may(op, *w.node, 4 /* R_OK */));
  const Node* node = TRY(bring_to_watch(op, *w.node, mask));
  return op.caller().raw(SYS_inotify_add_watch, fd, reinterpret_cast<long>(node->top().c_str()),
                         mask, 0, 0, 0);
}

}  // namespace ovl
