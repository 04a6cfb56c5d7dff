// See magic.h.
#include "core/walk/magic.h"

#include <limits.h>

#include "core/walk/removed.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

bool all_digits(Str s) {
  for (char c : s)
    if (c < '0' || c > '9') return false;
  return !s.empty();
}

// Cuts the first component off.
Str next(Str* path) {
  size_t end = path->find('/');
  if (end == SIZE_MAX) end = path->size();
  Str component = path->sub(0, end);
  *path = path->sub(end + 1);
  return component;
}

// What stands behind /proc/<task>/ or /proc/<task>/task/<task>/; empty: it is no such name.
Str name_of_task(Str path) {
  const Str proc("/proc/");
  if (!path.starts_with(proc)) return Str();
  Str rest = path.sub(proc.size());
  const Str task = next(&rest);
  if (task != Str("self") && task != Str("thread-self") && !all_digits(task)) return Str();
  if (!rest.starts_with("task/")) return rest;
  rest = rest.sub(5);
  return all_digits(next(&rest)) ? rest : Str();
}

}  // namespace

bool is_mapping_list(Str path) {
  const Str what = name_of_task(path);
  return what == Str("maps") || what == Str("smaps") || what == Str("numa_maps");
}

bool is_magic_name(Str path) {
  Str rest = name_of_task(path);
  const Str what = next(&rest);
  if (what == Str("cwd") || what == Str("root") || what == Str("exe")) return rest.empty();
  return (what == Str("fd") || what == Str("map_files")) && !rest.empty() &&
         rest.find('/') == SIZE_MAX;
}

namespace {

// A descriptor of the caller's own on `real`, when the link's name is that of one. (/proc/self has
// become /proc/<pid> by now.)
int own_descriptor(Op& op, Str link, Str real) {
  int fd = 0;
  for (char c : base_name(link)) {
    if (c < '0' || c > '9' || fd > INT_MAX / 10 - 1) return -1;
    fd = fd * 10 + (c - '0');
  }
  Result<CStr> own = op.caller().fd_link(op.arena(), fd);
  return own.ok() && own.value() == real ? fd : -1;
}

// Is the real object one of those that the node is made of? A broken hard link's copy does not
// remember its lower.
bool is_made_of(const Node& node, Str real, const StatX& object) {
  if (S_ISDIR(object.stx_mode)) return stands_for(node, real);
  if (node.in_upper() && node.upper == real) return true;
  for (uint32_t i = 0; i < node.lower_count; i++)
    if (node.lowers[i].path == real) return true;
  if (((node.mode ^ object.stx_mode) & S_IFMT) != 0) return false;
  return !S_ISREG(object.stx_mode) || object.stx_nlink > 1;
}

}  // namespace

Result<Magic> magic_target(Op& op, CStr link, Str text) {
  Magic magic;
  magic.is_magic = is_magic_name(link);
  if (!magic.is_magic || text.empty() || text[0] != '/') return magic;
  const CStr real = op.arena().dup(text);
  StatX object, named;
  if (!sys_statx(link, AT_NO_AUTOMOUNT, &object).ok() || !sys_lstat(real, &named).ok() ||
      !same_inode(object, named))
    return magic;
  const CStr virt = TRY(map_back(op, real));
  Result<const Node*> found = node_at(op, virt);
  const Node* node = found.ok() ? found.value() : nullptr;
  if (node != nullptr && (node->outside() || (node->exists() && is_made_of(*node, real, object)))) {
    magic.node = node;
    return magic;
  }
  const Overlay* overlay = op.session().containing(virt);
  if (overlay == nullptr ||
      (overlay->upper_layer != nullptr && is_below_or_same(real, overlay->upper)))
    return magic;
  magic.orphan = Orphan{overlay, true, link, own_descriptor(op, link, real)};
  return magic;
}

}  // namespace ovl
