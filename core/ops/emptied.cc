// See emptied.h.
#include "core/ops/emptied.h"

#include <fcntl.h>

#include "core/attr/attr.h"
#include "core/copy_up/complete.h"
#include "core/walk/changed.h"

namespace ovl {

Result<Emptied> empty_metacopy(Op& op, const Node& node) {
  Result<UniqueFd> named = sys_openat(node.upper, O_PATH | O_NOFOLLOW);
  if (!named.ok())
    return Error(has_changed(node, node.upper, named.error()) ? kLookAgain : named.error());
  StatX st;
  TRY(sys_fstat(named.value().get(), &st));
  if (!same_inode(st, node.real)) return Error(kLookAgain);
  const bool emptied = TRY(complete(op, node, Data::kDrop));
  const char* marker = priv_name(node.overlay->format, Priv::kMetacopy);
  // Its name was another one's meanwhile.
  if (Object::open_path(named.value().get()).get(marker, nullptr, 0).ok()) return Error(kLookAgain);
  return Emptied{std::move(named).value(), emptied};
}

}  // namespace ovl
