// chown(2), fchown(2), fchownat(2). Kernel counterpart: chown_common(), setattr_prepare(),
// ovl_setattr().
#include <fcntl.h>
#include <sys/stat.h>

#include "core/attr/acl.h"
#include "core/ops/target.h"
#include "core/walk/beside.h"

namespace ovl {
namespace {

constexpr uid_t kKeep = static_cast<uid_t>(-1);

// What chown(2) does to setuid and setgid bits of anything but a directory, whoever calls it.
mode_t without_privilege(Op& op, const Node& node) {
  if (node.is_dir()) return node.mode;
  mode_t mode = node.mode & ~mode_t{S_ISUID};
  if ((mode & S_ISGID) == 0) return mode;
  const bool executable = (mode & S_IXGRP) != 0;
  if (executable || (!op.caller().credentials().override_dac && !op.caller().in_group(node.gid)))
    mode &= ~mode_t{S_ISGID};
  return mode;
}

// chown_ok(), chgrp_ok(): an owner who isn't root gives nothing away but to groups of its own.
Result<void> may_give(Op& op, const Target& t, uid_t uid, gid_t gid) {
  const Node& node = *t.node;
  const Flags flags = flags_of(node, t.top);
  if (flags.immutable || flags.append) return Error(EPERM);
  // To take setuid bits away is a change of the mode.
  if (uid == kKeep && gid == kKeep)
    return without_privilege(op, node) == node.mode ? Result<void>() : may_own(op, node, t.top);
  const Credentials who = op.caller().credentials();
  if (who.override_dac) return {};
  TRY(may_own(op, node, t.top));
  if (uid != kKeep && uid != node.uid) return Error(EPERM);
  if (gid != kKeep && gid != node.gid && !op.caller().in_group(gid)) return Error(EPERM);
  return {};
}

Result<void> drop_stored_capability(Op& op, const Changing& c) {
  if (!c.node->is_regular()) return {};
  CStr stored;
  if (name_to_disk(op.arena(), c.node->format(), kCapability, true, &stored) != NameClass::kStored)
    return {};
  if (stored.data() == nullptr) return Error(ENOMEM);
  // EACCES: a mode that never let anybody store one.
  const Result<void> r = c.object.remove(stored.c_str());
  return ignore_if(ignore_if(ignore_if(r, ENODATA), EOPNOTSUPP), EACCES);
}

Result<void> apply(Op& op, const Changing& c, uid_t uid, gid_t gid) {
  const Node& node = *c.node;
  const mode_t real_type = node.real.stx_mode & S_IFMT;
  // Where nothing can be recorded, what the kernel says is the answer.
  if (real_type != S_IFREG && real_type != S_IFDIR && !stands_beside(*node.overlay, real_type)) {
    TRY(c.object.chown(uid, gid));
    if (real_type == S_IFLNK || without_privilege(op, node) == node.mode) return {};
    return c.object.chmod(without_privilege(op, node));
  }
  TRY(drop_stored_capability(op, c));
  const Shown shown = {uid == kKeep ? node.uid : uid, gid == kKeep ? node.gid : gid,
                       without_privilege(op, node), node.rdev_major, node.rdev_minor};
  if (shown.uid == node.uid && shown.gid == node.gid && shown.mode == node.mode)
    return c.object.chown(kKeep, kKeep);  // moves the time of change, drops capabilities
  return set_shown(op, *node.overlay, c.object, node.real, shown,
                   node.priv.has(Priv::kOverrideStat) ? Recorded::kYes : Recorded::kNo);
}

Outcome change_owner(Op& op, const Target& t, uid_t uid, gid_t gid) {
  TRY(may_change(t));
  TRY(may_give(op, t, uid, gid));
  const bool same = (uid == kKeep || uid == t.node->uid) && (gid == kKeep || gid == t.node->gid) &&
                    without_privilege(op, *t.node) == t.node->mode;
  // Nothing to change, and no data to wait for: no copy either, which might have to be recorded.
  if (same && !t.node->in_upper() && !t.node->is_dir() && !t.node->is_regular()) return 0;
  return change(op, t, Data::kNone, [&](const Changing& c) { return apply(op, c, uid, gid); });
}

}  // namespace

Outcome op_fchownat(Op& op, int dirfd, UserPath path, uid_t uid, gid_t gid, int flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Error(EINVAL);
  return on_target([&] { return find(op, dirfd, path, walk_flags(flags)); },
                   [&](const Target& t) -> Outcome {
                     if (t.native) return Outcome::native();
                     if (!t.is_outside()) return change_owner(op, t, uid, gid);
                     return call_outside(t, SYS_fchownat, uid, gid, flags & AT_SYMLINK_NOFOLLOW);
                   });
}

Outcome op_fchown(Op& op, int fd, uid_t uid, gid_t gid) {
  return on_target([&] { return find_fd(op, fd, FdUse::kOpened); },
                   [&](const Target& t) {
                     return t.native ? Outcome::native() : change_owner(op, t, uid, gid);
                   });
}

}  // namespace ovl
