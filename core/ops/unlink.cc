// unlinkat. Kernel counterpart: do_unlinkat(), do_rmdir(), may_delete().
#include "core/attr/attr.h"
#include "core/copy_up/linked.h"
#include "core/names/remove.h"
#include "core/ops/ops.h"
#include "core/walk/beside.h"

namespace ovl {
namespace {

// What the kernel refuses before it looks at the name.
Result<void> check_last(const Walked& walked, bool directory) {
  switch (walked.last) {
    case Last::kName:
      return {};
    case Last::kDot:
      return Error(directory ? EINVAL : EISDIR);
    case Last::kDotDot:
      return Error(directory ? ENOTEMPTY : EISDIR);
    case Last::kRoot:
      break;
  }
  return Error(directory ? EBUSY : EISDIR);
}

// ENOENT, EISDIR, ENOTDIR, EBUSY, EACCES, EPERM
Result<void> may_unlink(Op& op, const Walked& walked, const Place& place, bool directory) {
  const Node& node = *place.node;
  if (!node.exists()) return Error(ENOENT);
  if (!directory && walked.trailing_slash) return Error(node.is_dir() ? EISDIR : ENOTDIR);
  TRY(may_remove(op, *place.dir, node));
  if (directory && !node.is_dir()) return Error(ENOTDIR);
  if (!directory && node.is_dir()) return Error(EISDIR);
  return {};
}

Outcome remove_name(Op& op, NamePath& target, bool directory) {
  const Walked& first = target.walked();
  TRY(check_last(first, directory));
  if (is_mount_point(op.session(), first.node->virt)) return Error(directory ? EBUSY : EISDIR);
  if (first.parent->overlay->upper_layer == nullptr) return Error(EROFS);
  TRY(may_unlink(op, first, Place{first.parent, first.node}, directory));
  const bool counts = !directory && TRY(bring_to_count(op, *first.node));
  Mutation mutation(op.session(),
                    directory ? Mutation::Topology::kExclusive : Mutation::Topology::kShared);
  TRY(target.settle());
  const Walked& walked = target.walked();
  TRY(check_last(walked, directory));
  mutation.lock_dir(*walked.parent->overlay, walked.parent->virt);
  const Place place = TRY(look_again(op, walked));
  TRY(may_unlink(op, walked, place, directory));
  if (directory) return remove_directory(op, place);
  if (counts && is_to_be_counted(*place.node)) return Error(kLookAgain);
  LinkCount count;
  TRY(count.hold(op, mutation, *place.node));
  LastName last;
  last.hold(*place.node);
  TRY(remove_file(op, place));
  count.lost_name();
  last.lost_name();
  return 0;
}

}  // namespace

Outcome op_unlinkat(Op& op, int dirfd, UserPath path, int flags) {
  if ((flags & ~AT_REMOVEDIR) != 0) return Error(EINVAL);
  const bool directory = (flags & AT_REMOVEDIR) != 0;
  return until_still([&]() -> Outcome {
    NamePath target(op, dirfd);
    TRY(target.find(path, kParent));
    if (target.native()) return Outcome::native();
    const Walked& walked = target.walked();
    // An excluded tree's own name stands in a directory of the overlay.
    if (target.outside() && walked.last == Last::kName &&
        is_mount_point(op.session(), walked.node->virt))
      return Error(directory ? EBUSY : EISDIR);
    if (target.outside()) {
      const auto real = reinterpret_cast<long>(walked.outside_path.c_str());
      return op.caller().raw(SYS_unlinkat, AT_FDCWD, real, flags, 0, 0, 0);
    }
    return remove_name(op, target, directory);
  });
}

}  // namespace ovl
