// See redirect.h.
#include "core/names/redirect.h"

#include <limits.h>

#include "core/copy_up/marks.h"

namespace ovl {
namespace {

// The redirect of an upper directory; empty: none.
Result<Str> read_redirect(Op& op, const Node& dir) {
  if (!dir.in_upper() || !dir.priv.has(Priv::kRedirect)) return Str();
  char* value = op.arena().array<char>(kRedirectMax + 1);
  if (value == nullptr) return Error(ENOMEM);
  const char* name = priv_name(dir.overlay->format, Priv::kRedirect);
  Result<size_t> n = sys_lgetxattr(dir.upper, name, value, kRedirectMax + 1);
  if (!n.ok()) return Error(n.error() == ERANGE ? EIO : n.error());
  return Str(value, n.value());
}

// The path that the directory has in the lowers, as the upper's redirects tell: built from its end.
Result<Str> absolute(Op& op, const Node& dir, size_t most) {
  char* buffer = op.arena().array<char>(most);
  if (buffer == nullptr) return Error(ENOMEM);
  char* at = buffer + most;
  for (const Node* d = &dir; d->virt != Str(d->overlay->at); d = d->up) {
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

}  // namespace

Result<Str> lower_path(Op& op, const Node& dir) { return absolute(op, dir, 2 * PATH_MAX); }

Result<void> set_redirect(Op& op, const Node& dir, bool same_directory) {
  const Str old = TRY(read_redirect(op, dir));
  if (!old.empty() && (same_directory || old[0] == '/')) return {};
  const Str value = same_directory ? base_name(dir.virt) : TRY(absolute(op, dir, kRedirectMax));
  TRY(mark_unportable(op, *dir.overlay));
  op.session().count(Counter::kRedirects);
  return set_mark(op, *dir.overlay, dir.upper, Priv::kRedirect, value);
}

}  // namespace ovl
