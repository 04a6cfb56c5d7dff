// chmod(2), fchmod(2), fchmodat2(2). Kernel counterpart: chmod_common(), setattr_prepare(),
// ovl_setattr().
#include <fcntl.h>
#include <sys/stat.h>

#include "core/ops/target.h"

namespace ovl {
namespace {

constexpr mode_t kBits = 07777;

// The setgid bit is for members of the group. Who acts in the place of another owner is taken for
// one.
bool may_set_gid_bit(Op& op, const Node& node) {
  const Credentials who = op.caller().credentials();
  if (who.override_dac) return true;
  if (node.overlay->perm == Perm::kOwner && node.uid != who.fsuid) return true;
  return op.caller().in_group(node.gid);
}

Result<void> apply(Op& op, const Changing& c, mode_t mode) {
  const Node& node = *c.node;
  if ((mode & S_ISGID) != 0 && !may_set_gid_bit(op, node)) mode &= ~mode_t{S_ISGID};
  // Nothing new for programs: only the time of change moves.
  if (mode == (node.mode & kBits)) return c.object.chmod(node.real.stx_mode & kBits);
  const Shown shown = {node.uid, node.gid, (node.mode & S_IFMT) | mode, node.rdev_major,
                       node.rdev_minor};
  return set_shown(op, *node.overlay, c.object, node.real, shown,
                   node.priv.has(Priv::kOverrideStat) ? Recorded::kYes : Recorded::kNo);
}

Outcome change_mode(Op& op, const Target& t, mode_t mode) {
  TRY(may_change(t));
  if (t.node->is_symlink()) return Error(EOPNOTSUPP);
  TRY(may_own(op, *t.node, t.top));
  return change(op, t, Data::kNone, [&](const Changing& c) { return apply(op, c, mode & kBits); });
}

}  // namespace

Outcome op_fchmodat2(Op& op, int dirfd, UserPath path, mode_t mode, int flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Error(EINVAL);
  return on_target([&] { return find(op, dirfd, path, walk_flags(flags)); },
                   [&](const Target& t) -> Outcome {
                     if (t.native) return Outcome::native();
                     if (!t.is_outside()) return change_mode(op, t, mode);
                     if (flags == 0) return call_outside(t, SYS_fchmodat, mode);
                     return call_outside(t, SYS_fchmodat2, mode, flags & AT_SYMLINK_NOFOLLOW);
                   });
}

Outcome op_fchmod(Op& op, int fd, mode_t mode) {
  return on_target(
      [&] { return find_fd(op, fd, FdUse::kOpened); },
      [&](const Target& t) { return t.native ? Outcome::native() : change_mode(op, t, mode); });
}

}  // namespace ovl
