// See emptied.h.
#include "core/ops/emptied.h"

#include <fcntl.h>

#include "core/attr/attr.h"
#include "core/copy_up/complete.h"

namespace ovl {

bool has_changed(const Node& node, CStr real, long error) {
  if (error == EACCES) {  // a whiteout has no permissions, and something else may be there already
    StatX st;
    return Str(real) == node.upper && (!sys_lstat(real, &st).ok() || !same_inode(st, node.real) ||
                                       st.stx_ctime.tv_sec != node.real.stx_ctime.tv_sec ||
                                       st.stx_ctime.tv_nsec != node.real.stx_ctime.tv_nsec);
  }
  return error == ENOENT || error == ELOOP || error == ENOTDIR || error == ESTALE || error == ENXIO;
}

Result<UniqueFd> empty_metacopy(Op& op, const Node& node) {
  Result<UniqueFd> named = sys_openat(node.upper, O_PATH | O_NOFOLLOW);
  if (!named.ok())
    return Error(has_changed(node, node.upper, named.error()) ? kLookAgain : named.error());
  StatX st;
  TRY(sys_fstat(named.value().get(), &st));
  if (!same_inode(st, node.real)) return Error(kLookAgain);
  TRY(complete(op, node, Data::kDrop));
  const char* marker = priv_name(node.overlay->format, Priv::kMetacopy);
  // Its name was another one's meanwhile.
  if (Object::open_path(named.value().get()).get(marker, nullptr, 0).ok()) return Error(kLookAgain);
  return named;
}

}  // namespace ovl
