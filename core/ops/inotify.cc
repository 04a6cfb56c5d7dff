// inotify_add_watch(2). A watch stands on a real inode: on the upper's, where later changes happen.
// A directory is brought there first, so that what is made in it is seen; a lower file that nobody
// changed yet is watched where it is.
#include <sys/inotify.h>

#include "core/attr/attr.h"
#include "core/copy_up/copy_up.h"
#include "core/ops/ops.h"
#include "core/session/lock.h"
#include "core/walk/walk.h"

namespace ovl {

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
  const Node* node = w.node;
  if (node->is_dir() && !node->in_upper() && node->overlay->upper_layer != nullptr) {
    Mutation mutation(op.session(), Mutation::Topology::kShared);
    const Node* now = TRY(again(op, *node));
    node = TRY(copy_up_dir(op, *now));
  }
  return op.caller().raw(SYS_inotify_add_watch, fd, reinterpret_cast<long>(node->top().c_str()),
                         mask, 0, 0, 0);
}

}  // namespace ovl
