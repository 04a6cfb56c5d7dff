// truncate(2). ftruncate(2) acts on a descriptor open for writing, which is on the upper already.
// Kernel counterpart: vfs_truncate(), do_truncate().
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ops/target.h"

namespace ovl {
namespace {

// As a write by somebody who isn't root does: setuid goes, and setgid where the group may execute.
mode_t after_write(const Node& node) {
  mode_t mode = node.mode & ~mode_t{S_ISUID};
  if (mode & S_IXGRP) mode &= ~mode_t{S_ISGID};
  return mode;
}

Result<void> apply(Op& op, const Changing& c, off_t length) {
  const Node& node = *c.node;
  const Object& object = c.object;
  TRY(object.is_fd() ? sys_ftruncate(object.fd(), length) : sys_truncate(object.path(), length));
  const mode_t mode = after_write(node);
  if (mode == node.mode || op.caller().credentials().override_dac) return {};
  StatX now;
  TRY(object.stat(&now));
  const Shown shown = {node.uid, node.gid, mode};
  return set_shown(op, *node.overlay, object, now, shown, Recorded::kUnknown);
}

Outcome truncate_found(Op& op, const Target& t, off_t length) {
  if (t.native) return Outcome::native();
  if (t.is_outside()) {
    StatX st;
    if (sys_statx(t.outside, 0, &st).ok() && static_cast<uint64_t>(length) > st.stx_size)
      TRY(op.caller().may_grow_to(static_cast<uint64_t>(length)));
    return sys_truncate(t.outside, length);
  }
  const Node& node = *t.node;
  if (node.is_dir()) return Error(EISDIR);
  if (!node.is_regular()) return Error(EINVAL);
  TRY(may_change(t));
  TRY(may(op, node, t.top, W_OK));
  if (flags_of(node, t.top).append) return Error(EPERM);
  if (static_cast<uint64_t>(length) > node.real.stx_size)
    TRY(op.caller().may_grow_to(static_cast<uint64_t>(length)));
  if (node.in_upper() && !node.metacopy())
    return change(op, t, Data::kAll, [&](const Changing& c) { return apply(op, c, length); });
  // What was empty is not changed by being emptied.
  const bool emptied = length == 0 && node.real.stx_size != 0;
  return change(op, t, emptied ? Data::kDrop : Data::kAll,
                [&](const Changing& c) { return apply(op, c, length); });
}

}  // namespace

Outcome op_truncate(Op& op, UserPath path, off_t length) {
  if (length < 0) return Error(EINVAL);
  return on_target([&] { return find(op, AT_FDCWD, path, kFollow); },
                   [&](const Target& t) { return truncate_found(op, t, length); });
}

}  // namespace ovl
