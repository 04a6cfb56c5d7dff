// See magic.h.
#include "core/walk/magic.h"

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

}  // namespace

bool is_magic_name(Str path) {
  const Str proc("/proc/");
  if (!path.starts_with(proc)) return false;
  Str rest = path.sub(proc.size());
  Str task = next(&rest);
  if (task != Str("self") && task != Str("thread-self") && !all_digits(task)) return false;
  Str what = next(&rest);
  if (what == Str("task")) {
    if (!all_digits(next(&rest))) return false;
    what = next(&rest);
  }
  if (what == Str("cwd") || what == Str("root") || what == Str("exe")) return rest.empty();
  return (what == Str("fd") || what == Str("map_files")) && !rest.empty() && rest.find('/') == SIZE_MAX;
}

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
  Result<const Node*> node = node_at(op, virt);
  if (node.ok() && (node.value()->outside() || node.value()->exists())) magic.node = node.value();
  return magic;
}

}  // namespace ovl
