// chdir(2), fchdir(2), getcwd(2). The kernel's cwd is a real directory of a layer and the truth; it
// maps back to the virtual path (walk/map_back.cc).
#include <limits.h>

#include "core/attr/attr.h"
#include "core/names/place.h"
#include "core/ops/ops.h"
#include "core/walk/removed.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

Outcome enter(Op& op, const Node& node, bool kernel_finds) {
  if (!node.is_dir()) return Error(ENOTDIR);
  TRY(may(op, node, 1 /* X_OK */));
  return op.caller().change_directory(node.top(), kernel_finds);
}

}  // namespace

Outcome op_chdir(Op& op, UserPath user_path) {
  CStr path = TRY(op.caller().copy_in_path(op.arena(), user_path));
  return until_still([&]() -> Outcome {
    const NameWatch names(op.session());
    Walked w = TRY(walk_existing(op, AT_FDCWD, path, kFollow));
    if (w.native) return Outcome::native();
    if (w.outside()) return op.caller().change_directory(w.outside_path, w.kernel_follows);
    return unless_gone(*w.node, names, enter(op, *w.node, w.kernel_finds(w.node->top())));
  });
}

Outcome op_fchdir(Op& op, int fd) {
  FdNode target = TRY(node_of_fd(op, fd));
  // The real directory behind the descriptor is the right one, unless a copy-up made a better one
  // since.
  if (target.node == nullptr || !target.on_lower || !target.node->in_upper()) {
    if (target.node != nullptr && target.node->is_dir()) TRY(may(op, *target.node, 1 /* X_OK */));
    return Outcome::native();
  }
  return enter(op, *target.node, false);
}

Outcome op_getcwd(Op& op, UserBuf buffer, size_t size) {
  CStr real = TRY(op.caller().cwd(op.arena()));
  CStr virt = TRY(map_back(op, real));
  Result<const Node*> node = node_at(op, virt);
  // A directory that programs removed is gone, though its lower copy is not.
  if (!node.ok() || !stands_for(*node.value(), real)) return Error(ENOENT);
  if (!node.value()->outside() && !node.value()->is_dir()) return Error(ENOENT);
  if (virt.size() >= PATH_MAX) return Error(ENAMETOOLONG);
  if (virt.size() + 1 > size) return Error(ERANGE);
  TRY(op.caller().copy_out(buffer, virt.c_str(), virt.size() + 1));
  return static_cast<long>(virt.size() + 1);
}

}  // namespace ovl
