// See remove.h.
#include "core/names/remove.h"

#include "core/attr/attr.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/names/nameless.h"
#include "core/readdir/readdir.h"
#include "core/session/moved.h"

namespace ovl {
namespace {

Result<void> cover(Op& op, const Place& place) {
  const Node* dir = TRY(copy_up_dir(op, *place.dir));
  return put_whiteout(op, *dir->overlay, place.node->upper);
}

// Does something of a lower come to light when the upper's object is gone?
Result<bool> needs_whiteout(Op& op, const Place& place) {
  if (!place.node->in_upper()) return true;
  return lower_has(op, *place.dir, base_name(place.node->virt));
}

// A directory of the upper that shows as empty may hold whiteouts: it goes to the workdir at once,
// and is cleaned there.
Result<void> remove_upper_directory(Op& op, const Node& dir) {
  Temp away(op, *dir.overlay);
  TRY(sys_rename(dir.upper, away.path(), RENAME_NOREPLACE));
  ignore(remove_whiteouts(op, away.path()));
  return {};
}

Result<bool> really_empty(CStr real) {
  char buffer[1024];
  UniqueFd fd = TRY(sys_openat(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  for (;;) {
    const size_t n = TRY(sys_getdents64(fd.get(), buffer, sizeof buffer));
    if (n == 0) return true;
    for (size_t at = 0; at < n;) {
      auto* entry = reinterpret_cast<KernelDirent*>(buffer + at);
      at += entry->d_reclen;
      const CStr name(entry->d_name, strlen(entry->d_name));
      if (name != Str(".") && name != Str("..")) return false;
    }
  }
}

}  // namespace

Result<bool> is_empty(Op& op, const Node& dir) {
  Result<bool> empty = shown_empty(op, dir);
  if (empty.ok() || empty.error() != EACCES || !dir.in_upper()) return empty;
  TRY(keep_open_to_us(op, *dir.overlay, dir.upper));
  return shown_empty(op, dir);
}

Result<void> remove_file(Op& op, const Place& place) {
  KeptForReaders kept(op, *place.node);
  const bool covered = TRY(needs_whiteout(op, place));
  TRY(covered ? cover(op, place) : sys_unlink(place.node->upper));
  kept.done(op);
  return {};
}

Result<void> remove_directory(Op& op, const Place& place) {
  const Node& node = *place.node;
  const bool covered = TRY(needs_whiteout(op, place));
  // Most hold nothing at all, and rmdir(2) finds that out by itself.
  const bool pure = !covered && node.lower_count == 0;
  Result<void> r = pure ? sys_rmdir(node.upper) : Result<void>(Error(ENOTEMPTY));
  if (!r.ok() && r.error() != ENOTEMPTY && r.error() != EEXIST) return r;
  if (!r.ok()) {
    if (!TRY(is_empty(op, node))) return Error(ENOTEMPTY);
    if (covered)
      TRY(cover(op, place));
    else
      TRY(remove_upper_directory(op, node));
  }
  moved_remove(op.session(), *node.overlay, below(node.virt, node.overlay->at));
  return {};
}

Result<void> clear_empty(Op& op, const Node& dir) {
  if (TRY(really_empty(dir.upper))) return {};
  const Overlay& overlay = *dir.overlay;
  Temp fresh(op, overlay);
  TRY(make_own_directory(fresh.path()));
  StatX now;
  TRY(sys_lstat(fresh.path(), &now));
  TRY(set_shown(op, overlay, Object::at(fresh.path()), now, Shown{dir.uid, dir.gid, dir.mode},
                Recorded::kNo));
  TRY(mark_opaque(op, overlay, fresh.path()));
  TRY(Times(dir.real).set(fresh.path()));
  TRY(fresh.publish(dir.upper, RENAME_EXCHANGE));
  ignore(remove_whiteouts(op, fresh.path()));
  return {};
}

}  // namespace ovl
