// See removed.h.
#include "core/walk/removed.h"

#include <limits.h>
#include <sys/stat.h>

#include "core/walk/lookup.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

// The link as this process finds it.
CStr here(Op& op, CStr link) {
  const At at = op.caller().reach(op.arena(), AT_FDCWD, link);
  return CStr(at.name(), strlen(at.name()));
}

bool is_gone(CStr link) {
  StatX st;
  return sys_statx(link, 0, &st).ok() && st.stx_nlink == 0;
}

}  // namespace

bool stands_for(const Node& node, Str real) {
  if (node.outside()) return true;
  if (!node.exists()) return false;
  if (!node.is_dir() || (node.in_upper() && node.upper == real)) return true;
  for (uint32_t i = 0; i < node.lower_count; i++)
    if (node.lowers[i].path == real) return true;
  return false;
}

bool is_marked_removed(Op& op, const Held& held, Str real) {
  return has_deleted_mark(real) && is_gone(here(op, held.link));
}

Result<Removed> removed_directory(Op& op, const Held& held) {
  Removed removed;
  removed.link = here(op, held.link);
  StatX st;
  TRY(sys_statx(removed.link, 0, &st));
  if (!S_ISDIR(st.stx_mode)) return Error(ENOTDIR);
  char* text = op.arena().array<char>(PATH_MAX);
  Node* node = op.arena().make<Node>();
  if (text == nullptr || node == nullptr) return Error(ENOMEM);
  Str real(text, TRY(sys_readlink(removed.link, text, PATH_MAX)));
  if (real.empty() || real[0] != '/') return Error(ENOENT);  // "(unreachable)"
  removed.known = st.stx_nlink == 0 && has_deleted_mark(real);
  if (removed.known) real = real.sub(0, real.size() - kDeletedMark.size());
  removed.real = op.arena().dup(real);
  if (removed.real.data() == nullptr) return Error(ENOMEM);

  node->virt = TRY(map_back(op, removed.real));
  node->mode = S_IFDIR;
  removed.node = node;
  if (!op.session().in_some_layer(removed.real)) return removed;
  node->overlay = op.session().containing(node->virt);
  if (node->overlay == nullptr) node->overlay = op.session().workdir_with(removed.real);
  if (node->overlay == nullptr) return removed;
  const Overlay& overlay = *node->overlay;
  const bool upper =
      overlay.upper_layer != nullptr && (is_below_or_same(removed.real, overlay.upper) ||
                                         is_below_or_same(removed.real, overlay.work));
  removed.orphan = Orphan{&overlay, !upper, removed.link, held.fd};
  return removed;
}

Result<const Node*> parent_of(Op& op, const Removed& removed) {
  if (op.session().workdir_with(removed.real) != nullptr) return Error(ENOENT);
  const CStr real = op.arena().dup(dir_name(removed.real));
  const CStr above = op.arena().concat(removed.link, "/..");
  if (real.data() == nullptr || above.data() == nullptr) return Error(ENOMEM);
  // It may be gone too, and another have its name.
  StatX named, there;
  if (removed.known && (!sys_lstat(real, &named).ok() || !sys_statx(above, 0, &there).ok() ||
                        !same_inode(named, there)))
    return Error(ENOENT);
  const CStr virt = TRY(map_back(op, real));
  const Node* node = TRY(node_at(op, virt, Purpose::kPass));
  if (!stands_for(*node, real) || !(node->outside() || node->is_dir())) return Error(ENOENT);
  return node;
}

}  // namespace ovl
