// See move.h. Before the one rename(2) that does it, the object is made to mean the same in its new
// place: a directory with lowers gets a redirect to them, one without gets opaque where a lower has
// something by the new name; a file's origin is made whole. All of that is true in the old place
// too, so that a kill in between changes nothing.
#include "core/names/move.h"

#include "core/copy_up/marks.h"
#include "core/names/redirect.h"
#include "core/names/remove.h"
#include "core/readdir/readdir.h"
#include "core/session/moved.h"

#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT (1 << 2)
#endif

namespace ovl {
namespace {

Str name_of(const Place& place) { return base_name(place.node->virt); }
Str shown(const Node& node) { return below(node.virt, node.overlay->at); }

// Makes from.node fit to stand in to's place. `to_dir` is in the upper.
Result<void> prepare(Op& op, const Place& from, const Place& to, const Node& to_dir) {
  const Node& node = *from.node;
  if (!node.is_dir()) {
    TRY(make_origin_whole(op, node));
    if (node.priv.has(Priv::kOrigin)) return mark_impure(op, to_dir);
    return {};
  }
  if (node.lower_count != 0) {
    const Node* dir = TRY(copy_up_dir(op, node));
    return set_redirect(op, *dir, from.dir->virt == Str(to.dir->virt));
  }
  if (TRY(lower_has(op, *to.dir, name_of(to)))) return mark_opaque(op, *node.overlay, node.upper);
  return {};
}

// The session's list of moved directories follows `from` to the place of `to`. A directory that it
// has no room for can't move.
Result<void> follow(Op& op, const Node& from, Str to) {
  if (!from.is_dir()) return {};
  const Overlay& overlay = *from.overlay;
  Result<void> r = moved_rename(op.session(), overlay, shown(from), to);
  if (r.ok() && from.lower_count != 0) {
    const Str lower = TRY(lower_path(op, from));
    r = moved_add(op.session(), overlay, lower, to);
  }
  return !r.ok() && r.error() == ENOSPC ? Result<void>(Error(EXDEV)) : r;
}

// Leaves a whiteout at the old name in the same step.
Result<void> rename_leaving_whiteout(Op& op, const Place& from, const Place& to) {
  const Overlay& overlay = *from.node->overlay;
  const CStr old_name = from.node->upper, new_name = to.node->upper;
  if (overlay.can_whiteout_device) {
    Result<void> r = sys_rename(old_name, new_name, RENAME_WHITEOUT);
    if (r.ok()) op.session().count(Counter::kWhiteouts);
    if (r.ok() || (r.error() != EINVAL && r.error() != EPERM)) return r;
  }
  // A file system that can't. A whiteout over nothing changes nothing, and can be exchanged for the
  // object.
  if (to.node->where == Where::kAbsent) {
    TRY(put_whiteout(op, overlay, new_name));
    return sys_rename(old_name, new_name, RENAME_EXCHANGE);
  }
  TRY(sys_rename(old_name, new_name));
  return put_whiteout(op, overlay, old_name);
}

Result<void> rename_upper(Op& op, const Place& from, const Place& to, bool leave_whiteout) {
  const Node& old_node = *from.node;
  const Node& new_node = *to.node;
  if (new_node.where != Where::kUpperWhiteout)
    return leave_whiteout ? rename_leaving_whiteout(op, from, to)
                          : sys_rename(old_node.upper, new_node.upper);
  if (!leave_whiteout && !old_node.is_dir()) return sys_rename(old_node.upper, new_node.upper);
  // The whiteout comes to stand where one is needed; a directory could not replace it otherwise.
  TRY(sys_rename(old_node.upper, new_node.upper, RENAME_EXCHANGE));
  // One that covers nothing does no harm.
  if (!leave_whiteout) ignore(sys_unlink(old_node.upper));
  return {};
}

}  // namespace

Result<void> may_move(const Node& node) {
  if (!node.is_dir() || node.lower_count == 0 || node.overlay->redirect_dir == RedirectDir::kOn)
    return {};
  return Error(EXDEV);
}

Result<void> move_name(Op& op, const Place& from, const Place& to) {
  const Node& node = *from.node;
  const Overlay& overlay = *node.overlay;
  if (node.is_dir() && to.node->exists() && !TRY(shown_empty(op, *to.node)))
    return Error(ENOTEMPTY);
  const Node* to_dir = TRY(copy_up_dir(op, *to.dir));
  const Node* from_dir = TRY(copy_up_dir(op, *from.dir));
  TRY(prepare(op, from, to, *to_dir));
  if (node.is_dir() && to.node->in_upper()) TRY(clear_empty(op, *to.node));
  const bool leave_whiteout = TRY(lower_has(op, *from.dir, name_of(from)));
  if (leave_whiteout && !overlay.can_whiteout_device)
    TRY(mark_xattr_whiteouts(op, overlay, from_dir->upper));
  if (node.is_dir()) moved_remove(op.session(), overlay, shown(*to.node));
  TRY(follow(op, node, shown(*to.node)));
  Result<void> r = rename_upper(op, from, to, leave_whiteout);
  if (!r.ok() && node.is_dir())
    ignore(moved_rename(op.session(), overlay, shown(*to.node), shown(node)));
  return r;
}

Result<void> exchange_names(Op& op, const Place& from, const Place& to) {
  const Overlay& overlay = *from.node->overlay;
  const Node* to_dir = TRY(copy_up_dir(op, *to.dir));
  const Node* from_dir = TRY(copy_up_dir(op, *from.dir));
  TRY(prepare(op, from, to, *to_dir));
  TRY(prepare(op, to, from, *from_dir));
  // Through a name that no path can have.
  constexpr Str kAside("/\x01/");
  const Str old_shown = shown(*from.node), new_shown = shown(*to.node);
  Session& session = op.session();
  if (to.node->is_dir()) TRY(moved_rename(session, overlay, new_shown, kAside));
  TRY(follow(op, *from.node, new_shown));
  if (to.node->is_dir()) TRY(moved_rename(session, overlay, kAside, old_shown));
  TRY(follow(op, *to.node, old_shown));
  return sys_rename(from.node->upper, to.node->upper, RENAME_EXCHANGE);
}

}  // namespace ovl
