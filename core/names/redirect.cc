// See redirect.h.
#include "core/names/redirect.h"

#include <limits.h>

#include "core/copy_up/copy_up.h"
#include "core/copy_up/marks.h"
#include "core/names/place.h"

namespace ovl {
namespace {

// The redirect of an upper object; empty: none.
Result<Str> read_redirect(Op& op, const Node& node) {
  if (!node.in_upper() || !node.priv.has(Priv::kRedirect)) return Str();
  char* value = op.arena().array<char>(kRedirectMax + 1);
  if (value == nullptr) return Error(ENOMEM);
  const char* name = priv_name(node.overlay->format, Priv::kRedirect);
  Result<size_t> n = sys_lgetxattr(node.upper, name, value, kRedirectMax + 1);
  if (n.ok()) return Str(value, n.value());
  // Something else stands there since, or nothing: who holds no lock may meet that.
  const bool gone = n.error() == ENODATA || n.error() == ENOENT || n.error() == ENOTDIR;
  return Error(gone ? kLookAgain : n.error() == ERANGE ? EIO : n.error());
}

// The path that the object has in the lowers, as the upper's redirects tell: built from its end.
Result<Str> absolute(Op& op, const Node& node, size_t most) {
  char* buffer = op.arena().array<char>(most);
  if (buffer == nullptr) return Error(ENOMEM);
  char* at = buffer + most;
  for (const Node* d = &node; d->virt != Str(d->overlay->at); d = d->up) {
    Str part = TRY(read_redirect(op, *d));
    if (part.empty()) part = base_name(d->virt);
    const bool whole = part[0] == '/';
    const size_t size = part.size() + (whole ? 0 : 1);
    if (size > static_cast<size_t>(at - buffer)) return Error(EXDEV);
    at -= part.size();
    memcpy(at, part.data(), part.size());
    if (whole) break;
    *--at = '/';
  }
  return Str(at, static_cast<size_t>(buffer + most - at));
}

Result<bool> has_other_names(const Node& node) {
  if (node.is_dir()) return false;
  if (node.real.stx_nlink > 1) return true;
  StatX lower;
  TRY(sys_lstat(node.lowers[0].path, &lower));
  return lower.stx_nlink > 1;
}

// What the redirect has to be; data() == nullptr: the one that is there. EXDEV.
Result<Str> needed_redirect(Op& op, const Node& node, bool same_directory) {
  const Str old = TRY(read_redirect(op, node));
  if (!old.empty() && old[0] == '/') return Str(nullptr, 0);
  const bool relative = same_directory && !TRY(has_other_names(node));
  if (!relative) return absolute(op, node, kRedirectMax);
  return old.empty() ? base_name(node.virt) : Str(nullptr, 0);
}

bool can_be_metacopy(const Node& node) {
  return node.is_regular() && node.overlay->metacopy &&
         node.overlay->redirect_dir == RedirectDir::kOn;
}

}  // namespace

Result<Str> lower_path(Op& op, const Node& node) { return absolute(op, node, 2 * PATH_MAX); }

Result<void> set_redirect(Op& op, const Node& node, bool same_directory) {
  const Str value = TRY(needed_redirect(op, node, same_directory));
  if (value.data() == nullptr) return {};
  TRY(mark_unportable(op, *node.overlay));
  op.session().count(Counter::kRedirects);
  return set_mark(op, *node.overlay, node.upper, Priv::kRedirect, value);
}

Result<bool> can_move(Op& op, const Node& node, bool same_directory) {
  if (node.is_dir()) return true;
  if (!node.in_upper()) return false;
  if (!node.metacopy()) return true;
  if (!can_be_metacopy(node)) return false;
  const Result<Str> value = needed_redirect(op, node, same_directory);
  if (!value.ok() && value.error() == EXDEV) return false;
  return value.ok() ? Result<bool>(true) : Error(value.error());
}

Result<void> bring_to_move(Op& op, const Node& node, bool same_directory) {
  const Data least = can_be_metacopy(node) ? Data::kNone : Data::kAll;
  const Node* now = TRY(still(copy_up(op, node, least)));
  if (TRY(can_move(op, *now, same_directory))) return {};
  TRY(still(copy_up(op, *now, Data::kAll)));
  return {};
}

}  // namespace ovl
