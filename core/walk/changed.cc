// See changed.h.
#include "core/walk/changed.h"

#include <errno.h>

namespace ovl {

bool has_changed(const Node& node, CStr real, long error) {
  if (error == EACCES) {
    StatX st;  // inode numbers are given again at once
    return Str(real) == node.upper && (!sys_lstat(real, &st).ok() || !same_inode(st, node.real) ||
                                       st.stx_ctime.tv_sec != node.real.stx_ctime.tv_sec ||
                                       st.stx_ctime.tv_nsec != node.real.stx_ctime.tv_nsec);
  }
  return error == ENOENT || error == ELOOP || error == ENOTDIR || error == ESTALE || error == ENXIO;
}

bool still_stands(const Node& node) {
  StatX st;
  return sys_lstat(node.upper, &st).ok() && same_inode(st, node.real);
}

}  // namespace ovl
