// truncate(2). ftruncate(2) acts on a descriptor open for writing, which is on the upper already.
// Kernel counterpart: vfs_truncate(), do_truncate().
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/caller/descriptor_link.h"
#include "core/ops/emptied.h"
#include "core/ops/target.h"

namespace ovl {
namespace {

// As a write by somebody who isn't root does: setuid goes, and setgid where the group may execute.
mode_t after_write(const Node& node) {
  mode_t mode = node.mode & ~mode_t{S_ISUID};
  if (mode & S_IXGRP) mode &= ~mode_t{S_ISGID};
  return mode;
}

// Does a write by this caller change nothing but the data?
bool loses_nothing_else(Op& op, const Node& node) {
  return after_write(node) == node.mode || op.caller().credentials().override_dac;
}

// Whatever becomes of the name meanwhile, it is this file that is emptied, and once.
Outcome empty(Op& op, const Node& node) {
  const Node* now = &node;
  if (!node.in_upper()) {
    UniqueFd emptied;
    Result<const Node*> copy = copy_up_empty(op, node, &emptied);
    if (emptied.valid()) return 0;
    now = TRY(still(copy));
  }
  if (!now->metacopy()) return Error(kLookAgain);  // brought by somebody else
  const Emptied emptied = TRY(empty_metacopy(op, *now));
  if (emptied.here) return 0;
  return sys_truncate(descriptor_link(op.arena(), emptied.file.get()), 0);
}

Result<void> apply(Op& op, const Changing& c, off_t length) {
  const Node& node = *c.node;
  const Object& object = c.object;
  TRY(object.is_fd() ? sys_ftruncate(object.fd(), length) : sys_truncate(object.path(), length));
  if (loses_nothing_else(op, node)) return {};
  StatX now;
  TRY(object.stat(&now));
  const Shown shown = {node.uid, node.gid, after_write(node)};
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
  if (length != 0 || node.real.stx_size == 0)
    return change(op, t, Data::kAll, [&](const Changing& c) { return apply(op, c, length); });
  if (!t.detached && loses_nothing_else(op, node)) return empty(op, node);
  return change(op, t, Data::kDrop, [&](const Changing& c) { return apply(op, c, length); });
}

}  // namespace

Outcome op_truncate(Op& op, UserPath path, off_t length) {
  if (length < 0) return Error(EINVAL);
  return on_target([&] { return find(op, AT_FDCWD, path, kFollow); },
                   [&](const Target& t) { return truncate_found(op, t, length); });
}

}  // namespace ovl
