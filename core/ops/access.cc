// access(2), faccessat(2), faccessat2(2). Kernel counterpart: do_faccessat(), ovl_permission().
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ops/target.h"

namespace ovl {
namespace {

bool is_special(const Node& node) {
  return S_ISCHR(node.mode) || S_ISBLK(node.mode) || S_ISFIFO(node.mode) || S_ISSOCK(node.mode);
}

// What the kernel has to agree to: what it refuses to read of a lower we can't read for the caller;
// no mode makes a file executable on a noexec mount; devices, FIFOs and sockets are opened by the
// kernel alone.
int kernels_part(const Node& node, int mode) {
  if (is_special(node)) return S_ISREG(node.real.stx_mode) ? 0 : mode;
  if (!node.has_upper_inode()) return mode & (R_OK | X_OK);
  return node.is_regular() ? mode & X_OK : 0;
}

Outcome check(Op& op, const Target& t, int mode, int flags) {
  const Node& node = *t.node;
  if (mode == F_OK) return 0;
  const bool on_file_system = !is_special(node);
  if ((mode & W_OK) && on_file_system && node.overlay->upper_layer == nullptr) return Error(EROFS);
  if (node.is_symlink()) return 0;
  TRY(may(op, node, t.top, mode));
  if (t.detached) return 0;
  if (node.metacopy() && (mode & R_OK) != 0)
    TRY(sys_faccessat2(node.data(), R_OK, flags & AT_EACCESS));
  const int ask = kernels_part(node, mode);
  if (ask == 0) return 0;
  return sys_faccessat2(node.top(), ask, flags & AT_EACCESS);
}

}  // namespace

Outcome op_faccessat2(Op& op, int dirfd, UserPath path, int mode, int flags) {
  if ((mode & ~(R_OK | W_OK | X_OK)) != 0) return Error(EINVAL);
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Error(EINVAL);
  const auto ask = [&](const Target& t) -> Outcome {
    if (t.native) return Outcome::native();
    if (!t.is_outside()) return check(op, t, mode, flags);
    if ((flags & ~AT_EMPTY_PATH) == 0) return call_outside(t, SYS_faccessat, mode);
    return call_outside(t, SYS_faccessat2, mode, flags & ~AT_EMPTY_PATH);
  };
  return at_target(
      op, [&] { return find(op, dirfd, path, walk_flags(flags)); }, ask);
}

}  // namespace ovl
