// From what the kernel calls a cwd or descriptor to what programs call it. No table of processes: a
// real path of a layer maps back by the layer's prefix, and only directories that a redirect moved
// need the session's list.
#include "core/session/moved.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

CStr shown_path(Op& op, const Overlay& overlay, Str rest) {
  if (rest.empty()) return overlay.at;
  return overlay.at == Str("/") ? op.arena().dup(rest) : op.arena().concat(overlay.at, rest);
}

// Is the object at this real lower path part of what programs see at `virt`?
bool shows(Op& op, CStr virt, CStr real) {
  Result<const Node*> node = node_at(op, virt);
  if (!node.ok() || node.value()->outside() || !node.value()->exists()) return false;
  for (uint32_t i = 0; i < node.value()->lower_count; i++)
    if (node.value()->lowers[i].path == real) return true;
  return false;
}

struct LowerPlace {
  const Overlay* overlay = nullptr;
  Str rest;  // path below the layer's root
};

// The innermost lower that holds this real path.
LowerPlace lower_place(const Session& session, CStr real) {
  LowerPlace best;
  size_t best_size = 0;
  for (uint32_t i = 0; i < session.overlay_count(); i++) {
    const Overlay& overlay = session.overlay(i);
    for (uint32_t k = 0; k < overlay.lower_count; k++) {
      const CStr root = overlay.lowers[k].root;
      if (!is_below_or_same(real, root) || (best.overlay != nullptr && root.size() <= best_size))
        continue;
      best = LowerPlace{&overlay, below(real, root)};
      best_size = root.size();
    }
  }
  return best;
}

CStr of_lower(Op& op, const LowerPlace& place, CStr real) {
  Session& session = op.session();
  const CStr plain = shown_path(op, *place.overlay, place.rest);
  if (session.state().moved_count.load(std::memory_order_acquire) == 0) return plain;
  if (shows(op, plain, real)) return plain;
  uint32_t cursor = 0;
  for (;;) {
    CStr rest = moved_candidate(session, *place.overlay, op.arena(), place.rest, &cursor);
    if (rest.empty()) return plain;
    CStr moved = shown_path(op, *place.overlay, rest);
    if (shows(op, moved, real)) return moved;
  }
}

}  // namespace

Result<CStr> map_back(Op& op, CStr real) {
  Session& session = op.session();
  for (uint32_t i = 0; i < session.overlay_count(); i++) {
    const Overlay& overlay = session.overlay(i);
    if (overlay.upper_layer != nullptr && is_below_or_same(real, overlay.upper))
      return shown_path(op, overlay, below(real, overlay.upper));
  }
  const LowerPlace place = lower_place(session, real);
  if (place.overlay == nullptr) return real;
  // In place, an excluded part of a lower is what it is.
  if (session.containing(real) == nullptr && is_below_or_same(real, place.overlay->at)) return real;
  return of_lower(op, place, real);
}

namespace {

constexpr Str kDeleted(" (deleted)");

bool is_deleted(Op& op, int fd, CStr link) {
  if (link.size() <= kDeleted.size() || link.sub(link.size() - kDeleted.size()) != kDeleted)
    return false;
  // A file may really be called so.
  Result<BorrowedFd> borrowed = op.caller().borrow(fd);
  StatX named, open;
  return !borrowed.ok() || !sys_lstat(link, &named).ok() ||
         !sys_fstat(borrowed.value().get(), &open).ok() || named.stx_ino != open.stx_ino ||
         named.stx_dev_major != open.stx_dev_major || named.stx_dev_minor != open.stx_dev_minor;
}

// Does the real path belong to a layer at all? Sets *upper when it is an upper's.
bool in_some_layer(const Session& session, Str real, bool* upper) {
  *upper = false;
  for (uint32_t i = 0; i < session.overlay_count(); i++) {
    const Overlay& overlay = session.overlay(i);
    if (overlay.upper_layer == nullptr) continue;
    if (is_below_or_same(real, overlay.upper) || is_below_or_same(real, overlay.work))
      return *upper = true;
  }
  for (uint32_t i = 0; i < session.overlay_count(); i++)
    for (uint32_t k = 0; k < session.overlay(i).lower_count; k++)
      if (is_below_or_same(real, session.overlay(i).lowers[k].root)) return true;
  return false;
}

}  // namespace

Result<FdNode> node_of_fd(Op& op, int fd) {
  FdNode result;
  result.real = TRY(op.caller().fd_link(op.arena(), fd));
  if (result.real[0] != '/') return result;
  bool upper;
  if (!in_some_layer(op.session(), result.real, &upper)) return result;
  const CStr virt = TRY(map_back(op, result.real));
  if (op.session().containing(virt) == nullptr) return result;
  result.on_lower = !upper;
  if (is_deleted(op, fd, result.real)) {
    result.detached = true;
    return result;
  }
  Result<const Node*> found = node_at(op, virt);
  if (!found.ok() && found.error() != ENOENT && found.error() != ENOTDIR)
    return Error(found.error());
  const Node* node = found.ok() ? found.value() : nullptr;
  bool same = node != nullptr && node->exists();
  if (same && upper) same = node->in_upper();
  if (same && !upper) {
    same = false;
    for (uint32_t i = 0; i < node->lower_count; i++)
      same = same || node->lowers[i].path == result.real;
  }
  if (same) result.node = node;
  result.detached = !same;
  return result;
}

}  // namespace ovl
