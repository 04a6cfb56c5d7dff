// See emptied.h.
#include "core/ops/emptied.h"

#include <fcntl.h>

#include "core/attr/attr.h"
#include "core/copy_up/complete.h"

namespace ovl {
namespace {

bool is_whiteout(CStr real) {
  StatX st;
  return sys_lstat(real, &st).ok() && S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 &&
         st.stx_rdev_minor == 0;
}

}  // namespace

bool has_changed(CStr real, long error) {
  if (error == EACCES) return is_whiteout(real);  // which has no permissions
  return error == ENOENT || error == ELOOP || error == ENOTDIR || error == ESTALE || error == ENXIO;
}

Result<UniqueFd> empty_metacopy(Op& op, const Node& node) {
  Result<UniqueFd> named = sys_openat(node.upper, O_PATH | O_NOFOLLOW);
  if (!named.ok())
    return Error(has_changed(node.upper, named.error()) ? kLookAgain : named.error());
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
