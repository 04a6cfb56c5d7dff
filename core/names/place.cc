// See place.h.
#include "core/names/place.h"

#include "core/attr/attr.h"

namespace ovl {

Result<void> NamePath::find(UserPath path, unsigned walk_flags) {
  return find(TRY(op_.caller().copy_in_path(op_.arena(), path)), walk_flags);
}

Result<void> NamePath::find(CStr path, unsigned walk_flags) {
  path_ = path;
  flags_ = walk_flags;
  epoch_ = op_.session().state().epoch.load(std::memory_order_acquire);
  walked_ = TRY(walk(op_, dirfd_, path_, flags_));
  return {};
}

Result<void> NamePath::settle() {
  // No exclusive Mutation runs while we hold one, and each bumps the epoch when it ends.
  const uint64_t now = op_.session().state().epoch.load(std::memory_order_acquire);
  if (now == epoch_) return {};
  epoch_ = now;
  walked_ = TRY(walk(op_, dirfd_, path_, flags_ | kStill));
  if (!ours()) return Error(kLookAgain);
  return {};
}

Result<void> NamePath::exists_outside() const {
  return exists_outside(outside() ? walked_.outside_path : path_);
}

Result<void> NamePath::directory_exists_outside() const {
  const Str path = outside() ? walked_.outside_path : path_;
  size_t size = path.size();
  while (size > 0 && path[size - 1] == '/') size--;
  while (size > 0 && path[size - 1] != '/') size--;
  const CStr directory = op_.arena().concat(path.sub(0, size), ".");
  return directory.data() == nullptr ? Result<void>(Error(ENOMEM)) : exists_outside(directory);
}

Result<void> NamePath::exists_outside(CStr path) const {
  const bool real = outside();
  const int flags = AT_SYMLINK_NOFOLLOW | (path.empty() ? AT_EMPTY_PATH : 0);
  return sys_faccessat2(op_.caller().reach(op_.arena(), real ? AT_FDCWD : dirfd_, path),
                        0 /* F_OK */, flags);
}

Result<Place> look_again(Op& op, const Walked& walked) {
  Place place;
  place.dir = walked.parent;
  // A directory that was in a lower only may be in the upper by now, with other names in it.
  if (!place.dir->in_upper()) place.dir = TRY(again(op, *walked.parent));
  // The walk has asked whether the directory may be searched, where that was to be asked.
  place.node = TRY(lookup(op, *place.dir, walked.name, Search::kUnchecked));
  return place;
}

Result<void> may_create(Op& op, const Walked& walked, const Place& place, bool directory) {
  if (walked.last != Last::kName || place.node->exists()) return Error(EEXIST);
  if (walked.trailing_slash && !directory) return Error(ENOENT);
  if (place.dir->overlay->upper_layer == nullptr) return Error(EROFS);
  return may_change_names(op, *place.dir);
}

bool is_mount_point(const Session& session, Str virt) {
  for (uint32_t i = 0; i < session.overlay_count(); i++)
    if (session.overlay(i).at == virt) return true;
  for (uint32_t i = 0; i < session.exclude_count(); i++)
    if (session.exclude(i) == virt) return true;
  return false;
}

bool holds_mount_point(const Session& session, Str virt) {
  if (is_mount_point(session, virt) || session.leads_to_overlay(virt)) return true;
  for (uint32_t i = 0; i < session.exclude_count(); i++)
    if (is_below_or_same(session.exclude(i), virt)) return true;
  return false;
}

Result<bool> lower_has(Op& op, const Node& dir, Str name) {
  for (uint32_t i = 0; i < dir.lower_count; i++) {
    const CStr real = op.arena().join(dir.lowers[i].path, name);
    StatX st;
    Result<void> r = sys_lstat(real, &st);
    if (!r.ok() && (r.error() == ENOENT || r.error() == ENOTDIR)) continue;
    TRY(r);
    const Layer& layer = *dir.lowers[i].layer;
    if (S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0) {
      if (layer.format.depth == 0) return false;
      continue;  // that of the overlay around
    }
    if (!layer.has_format || !S_ISREG(st.stx_mode) || st.stx_size != 0) return true;
    return !sys_lgetxattr(real, priv_name(layer.format, Priv::kWhiteout), nullptr, 0).ok();
  }
  return false;
}

}  // namespace ovl
