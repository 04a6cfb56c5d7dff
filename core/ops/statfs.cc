// statfs(2), fstatfs(2). Room and limits are the upper's file system's, where all that is written
// goes, as with the kernel's overlayfs (ovl_statfs()). The type is another matter: in place,
// programs that knew their tree to be on ext4 (git, sqlite, tar, df) shall not meet
// OVERLAYFS_SUPER_MAGIC there; so type and id stay those of the lower's file system.
#include <sys/statfs.h>

#include "core/ops/target.h"

namespace ovl {
namespace {

Outcome give(Op& op, const Node& node, UserBuf out) {
  const Overlay& overlay = *node.overlay;
  struct statfs shown;
  const bool has_lower = node.lower_count != 0;
  // A symlink's path would be followed.
  const CStr lower = !has_lower          ? overlay.lowers[0].root
                     : node.is_symlink() ? node.lowers[0].layer->root
                                         : node.lowers[0].path;
  TRY(sys_statfs(lower, &shown));
  if (overlay.upper_layer != nullptr) {
    const struct statfs of_lower = shown;
    TRY(sys_statfs(overlay.upper, &shown));
    shown.f_type = of_lower.f_type;
    shown.f_fsid = of_lower.f_fsid;
    if (of_lower.f_namelen < shown.f_namelen) shown.f_namelen = of_lower.f_namelen;
  }
  return op.caller().copy_out(out, &shown, sizeof shown);
}

}  // namespace

Outcome op_statfs(Op& op, UserPath path, UserBuf out) {
  Target t = TRY(find(op, AT_FDCWD, path, kFollow));
  if (t.native) return Outcome::native();
  if (!t.is_outside()) return give(op, *t.node, out);
  struct statfs st;
  TRY(sys_statfs(t.outside, &st));
  return op.caller().copy_out(out, &st, sizeof st);
}

Outcome op_fstatfs(Op& op, int fd, UserBuf out) {
  Target t = TRY(find_fd(op, fd, FdUse::kAny));
  if (t.native) return Outcome::native();
  return give(op, *t.node, out);
}

}  // namespace ovl
