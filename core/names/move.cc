// See move.h. Before the one rename(2) that does it, the object is made to mean the same in its new
// place: a directory with lowers gets a redirect to them, one without gets opaque where a lower has
// something by the new name; a metacopy gets one to its data; a file's origin is made whole. All of
// that is true in the old place too, so that a kill in between changes nothing.
#include "core/names/move.h"

#include "core/copy_up/marks.h"
#include "core/names/nameless.h"
#include "core/names/redirect.h"
#include "core/names/remove.h"
#include "core/readdir/readdir.h"
#include "core/session/moved.h"
#include "core/session/moved_file.h"
#include "core/session/readers.h"

#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT (1 << 2)
#endif

namespace ovl {
namespace {

Str name_of(const Place& place) { return base_name(place.node->virt); }
Str shown(const Node& node) { return below(node.virt, node.overlay->at); }

Result<void> drop_redirect(const Node& node) {
  const char* name = priv_name(node.overlay->format, Priv::kRedirect);
  return ignore_if(sys_lremovexattr(node.upper, name), ENODATA);
}

// Wherever it comes to stand, a metacopy has to find its data, and a copy what it was copied from.
Result<void> prepare_file(Op& op, const Node& node, const Node& to_dir, bool same_directory) {
  if (node.metacopy()) {
    TRY(set_redirect(op, node, same_directory));
  } else {
    // One that is left from a metacopy stays true, or goes.
    if (node.priv.has(Priv::kRedirect)) {
      const Result<void> kept = node.lower_count != 0 ? set_redirect(op, node, same_directory)
                                                      : Result<void>(Error(EXDEV));
      if (!kept.ok()) TRY(drop_redirect(node));
    }
    TRY(make_origin_whole(op, node));
  }
  return node.priv.has(Priv::kOrigin) || node.lower_count != 0 ? mark_impure(op, to_dir)
                                                               : Result<void>();
}

// Makes from.node fit to stand in to's place. `to_dir` is in the upper.
Result<void> prepare(Op& op, const Place& from, const Place& to, const Node& to_dir) {
  const Node& node = *from.node;
  if (!node.is_dir()) return prepare_file(op, node, to_dir, from.dir->virt == Str(to.dir->virt));
  if (node.lower_count != 0) {
    const Node* dir = TRY(copy_up_dir(op, node));
    TRY(mark_impure(op, to_dir));
    return set_redirect(op, *dir, from.dir->virt == Str(to.dir->virt));
  }
  if (TRY(lower_has(op, *to.dir, name_of(to)))) return mark_opaque(op, *node.overlay, node.upper);
  return {};
}

// A directory that the session's list of moved ones has no room for can't move.
Result<void> listed(Result<void> r) {
  return !r.ok() && r.error() == ENOSPC ? Result<void>(Error(EXDEV)) : r;
}

// The list tells that the directory's lower is shown at `to`.
Result<void> list_at(Op& op, const Node& dir, Str to) {
  if (!dir.is_dir() || dir.lower_count == 0) return {};
  const Str lower = TRY(lower_path(op, dir));
  return listed(moved_add(op.session(), *dir.overlay, lower, to));
}

// What the list has at `from` and below is shown at `to`.
Result<void> list_moved(Op& op, const Node& node, Str from, Str to) {
  return node.is_dir() ? listed(moved_rename(op.session(), *node.overlay, from, to))
                       : Result<void>();
}

// Those who have the lower's file open look for its copy at `to` from now on.
void follow_readers(Session& session, const Node& from, CStr to) {
  if (from.lower_count == 0) {  // renamed before
    const bool tells = from.priv.has(Priv::kOrigin) ||
                       session.state().broken_links.load(std::memory_order_acquire) != 0;
    if (!tells) return;
    moved_file_rename(session, from.virt, to);
  } else {
    const CStr path = from.lowers[from.lower_count - 1].path;
    StatX lower;
    if (!sys_lstat(path, &lower).ok() || !may_have_readers(session, lower)) return;
    moved_file_note(session, path, to);
  }
  // Who has looked in between has found nothing.
  look_for_stale_again(session);
}

// Descriptors on the lower's file, and on files below a lower directory, find the new name.
void follow_descriptors(Op& op, const Node& from, CStr to) {
  Session& session = op.session();
  if (from.is_dir()) {
    moved_file_rename(session, from.virt, to);
  } else if (from.metacopy()) {
    if (from.overlay->level == 0 && moved_file_has_plenty(session))
      moved_file_note(session, from.data(), to);
  } else if (from.is_regular() && from.overlay->level == 0) {
    follow_readers(session, from, to);
  }
}

// The steps that follow need not come, and must not be half done.
Result<void> undone(const Result<void>& r, const Result<void>& undo) {
  ignore(undo);
  return r;
}

// Where whiteouts are files nothing can leave one and take another's place in one step. A kill in
// between leaves both names to a file, and exchanges directories: nothing that was removed shows
// again, nothing is lost.
Result<void> replace_leaving_whiteout(Op& op, const Place& from, const Place& to) {
  const Overlay& overlay = *from.node->overlay;
  const CStr old_name = from.node->upper, new_name = to.node->upper;
  if (from.node->is_dir()) {
    TRY(copy_up_dir(op, *to.node));
    TRY(sys_rename(old_name, new_name, RENAME_EXCHANGE));
    const Result<void> covered = put_whiteout(op, overlay, old_name);
    return covered.ok() ? covered
                        : undone(covered, sys_rename(new_name, old_name, RENAME_EXCHANGE));
  }
  Temp other(op, overlay);
  TRY(sys_link(old_name, other.path()));
  const bool in_upper = to.node->in_upper();
  TRY(other.publish(new_name, in_upper ? RENAME_EXCHANGE : RENAME_NOREPLACE));
  const Result<void> covered = put_whiteout(op, overlay, old_name);
  if (covered.ok()) return {};
  return undone(covered,
                in_upper ? other.publish(new_name, RENAME_EXCHANGE) : sys_unlink(new_name));
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
    const Result<void> r = sys_rename(old_name, new_name, RENAME_EXCHANGE);
    return r.ok() ? r : undone(r, sys_unlink(new_name));
  }
  return replace_leaving_whiteout(op, from, to);
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
  if (node.is_dir() && to.node->exists() && !TRY(is_empty(op, *to.node))) return Error(ENOTEMPTY);
  const Node* to_dir = TRY(copy_up_dir(op, *to.dir));
  const Node* from_dir = TRY(copy_up_dir(op, *from.dir));
  TRY(prepare(op, from, to, *to_dir));
  if (node.is_dir() && to.node->in_upper()) TRY(clear_empty(op, *to.node));
  const bool leave_whiteout = TRY(lower_has(op, *from.dir, name_of(from)));
  if (leave_whiteout && !overlay.can_whiteout_device)
    TRY(mark_xattr_whiteouts(op, overlay, from_dir->upper));
  if (node.is_dir()) moved_remove(op.session(), overlay, shown(*to.node));
  TRY(list_moved(op, node, shown(node), shown(*to.node)));
  TRY(list_at(op, node, shown(*to.node)));
  KeptForReaders kept(op, *to.node);
  Result<void> r = rename_upper(op, from, to, leave_whiteout);
  if (r.ok()) kept.done(op);
  if (r.ok())
    follow_descriptors(op, node, to.node->virt);
  else if (node.is_dir())
    ignore(moved_rename(op.session(), overlay, shown(*to.node), shown(node)));
  return r;
}

Result<void> exchange_names(Op& op, const Place& from, const Place& to) {
  const Node* to_dir = TRY(copy_up_dir(op, *to.dir));
  const Node* from_dir = TRY(copy_up_dir(op, *from.dir));
  TRY(prepare(op, from, to, *to_dir));
  TRY(prepare(op, to, from, *from_dir));
  // Through a name that no path can have.
  constexpr Str kAside("/\x01/");
  const Str old_shown = shown(*from.node), new_shown = shown(*to.node);
  Session& session = op.session();
  TRY(list_moved(op, *to.node, new_shown, kAside));
  TRY(list_moved(op, *from.node, old_shown, new_shown));
  TRY(list_moved(op, *to.node, kAside, old_shown));
  TRY(list_at(op, *from.node, new_shown));
  TRY(list_at(op, *to.node, old_shown));
  TRY(sys_rename(from.node->upper, to.node->upper, RENAME_EXCHANGE));
  if (from.node->is_dir() || to.node->is_dir()) {
    moved_file_rename(session, to.node->virt, kAside);
    moved_file_rename(session, from.node->virt, to.node->virt);
    moved_file_rename(session, kAside, from.node->virt);
  } else {
    follow_descriptors(op, *from.node, to.node->virt);
    follow_descriptors(op, *to.node, from.node->virt);
  }
  return {};
}

}  // namespace ovl
