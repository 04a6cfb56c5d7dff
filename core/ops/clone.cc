// See clone.h.
#include "core/ops/clone.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/caller/descriptor_link.h"
#include "core/copy_up/copy_up.h"
#include "core/sys/no_symlinks.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

// What both requests say.
Result<file_clone_range> copy_in_range(Op& op, unsigned long request, UserBuf argument) {
  file_clone_range range = {};
  if (request == FICLONE)
    range.src_fd = static_cast<int>(argument.address());
  else
    TRY(op.caller().copy_in(&range, argument.as<const void>(), sizeof range));
  return range;
}

// A file of a lower that lies on another file system than the target; nullptr: neither.
Result<const Node*> far_source(Op& op, int from, int to) {
  struct stat source, target;
  TRY(op.caller().fstat(from, &source));
  TRY(op.caller().fstat(to, &target));
  if (source.st_dev == target.st_dev || !S_ISREG(source.st_mode) || !S_ISREG(target.st_mode))
    return nullptr;
  const FdNode found = TRY(node_of_fd(op, from));
  if (!found.on_lower || found.node == nullptr || found.overlay->upper_layer == nullptr ||
      found.overlay->upper_layer->dev != target.st_dev)
    return nullptr;
  return found.node;
}

// A clone onto itself is refused where clones are known, and not known elsewhere.
bool can_clone(Op& op, int file) {
  const Result<UniqueFd> readable = sys_openat(descriptor_link(op.arena(), file), O_RDONLY);
  if (!readable.ok()) return false;
  const long r = raw_call(SYS_ioctl, file, FICLONE, readable.value().get());
  return r == 0 || r == -EINVAL;
}

}  // namespace

Outcome clone_range(Op& op, int to, unsigned long request, UserBuf argument) {
  file_clone_range range = TRY(copy_in_range(op, request, argument));
  const Result<const Node*> far = far_source(op, static_cast<int>(range.src_fd), to);
  if (!far.ok() || far.value() == nullptr) return Outcome::native();
  const BorrowedFd target = TRY(op.caller().borrow(to));
  if (!can_clone(op, target.get())) return Outcome::native();
  // Where it can't be copied, the caller is told EXDEV, and copies what it can.
  const Result<const Node*> copy = copy_up(op, *far.value(), Data::kAll);
  if (!copy.ok()) return Outcome::native();
  const Result<UniqueFd> source = sys_open_no_symlinks(copy.value()->upper, O_RDONLY);
  if (!source.ok()) return Outcome::native();
  range.src_fd = source.value().get();
  return request == FICLONE ? raw_call(SYS_ioctl, target.get(), FICLONE, source.value().get())
                            : raw_call(SYS_ioctl, target.get(), FICLONERANGE, &range);
}

}  // namespace ovl
