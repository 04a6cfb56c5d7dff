// Directories. Each is made whole in the workdir and then renamed into place, the topmost first.
// Kernel counterpart: ovl_copy_up_flags(), ovl_copy_up_workdir() for a directory.
#include "core/copy_up/copy_up.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/session/plain.h"
#include "core/walk/lookup.h"

namespace ovl {
namespace {

// Requires: the directory above is in the upper.
Result<void> make(Op& op, const Node& dir) {
  Temp temp(op, *dir.overlay);
  TRY(mark_impure(op, *dir.up));
  TRY(sys_mkdir(temp.path(), 0700));
  TRY(copy_metadata(op, dir, temp.path()));
  TRY(Times(dir.real).set(temp.path()));
  const KeepTimes keep = TRY(KeepTimes::of(dir.up->upper));
  const ShownChange change(op.session());
  Result<void> r = temp.publish(dir.upper, RENAME_NOREPLACE);
  if (r.ok()) {
    op.session().count(Counter::kCopyUps);
    return keep.restore();
  }
  if (r.error() != EEXIST) return r;
  StatX theirs;  // somebody else was first
  TRY(sys_lstat(dir.upper, &theirs));
  if (!S_ISDIR(theirs.stx_mode)) return Error(ENOENT);
  return {};
}

}  // namespace

Result<const Node*> copy_up_dir(Op& op, const Node& dir) {
  if (dir.in_upper()) return &dir;
  if (dir.overlay->upper_layer == nullptr) return Error(EROFS);
  size_t missing = 0;
  for (const Node* d = &dir; d != nullptr && !d->in_upper(); d = d->up) missing++;
  const Node** chain = op.arena().array<const Node*>(missing);
  if (chain == nullptr) return Error(ENOMEM);
  const Node* d = &dir;
  for (size_t i = missing; i-- > 0; d = d->up) chain[i] = d;
  if (d == nullptr) return Error(EIO);  // the root of an overlay with an upper is in it
  const Node* up = d;
  for (size_t i = 0; i < missing; i++) {
    TRY(ensure_loaded(op, *chain[i]));
    TRY(make(op, *chain[i]));
    Node* now = op.arena().make<Node>();
    if (now == nullptr) return Error(ENOMEM);
    *now = *chain[i];
    now->up = up;
    now->where = Where::kUpper;
    TRY(load_attributes(op, now));
    up = now;
  }
  return up;
}

}  // namespace ovl
