// renameat2. Kernel counterpart: do_renameat2(), vfs_rename().
#include "core/attr/attr.h"
#include "core/copy_up/linked.h"
#include "core/names/move.h"
#include "core/names/redirect.h"
#include "core/ops/ops.h"
#include "core/walk/beside.h"

namespace ovl {
namespace {

#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT (1 << 2)
#endif

Result<void> check_flags(unsigned flags) {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) != 0) return Error(EINVAL);
  if ((flags & RENAME_EXCHANGE) != 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0)
    return Error(EINVAL);
  return {};
}

// The overlay in whose directory the last name is looked up; nullptr: in none's.
const Overlay* holder(const Walked& w) {
  if (w.last != Last::kName) return w.node->overlay;
  return w.parent != nullptr ? w.parent->overlay : nullptr;
}

// What the kernel refuses before it looks at the names.
Result<void> check_last(const Session& session, const Walked& from, const Walked& to,
                        unsigned flags) {
  if (holder(from) != holder(to)) return Error(EXDEV);
  if (from.last != Last::kName) return Error(EBUSY);
  if (to.last != Last::kName) return Error((flags & RENAME_NOREPLACE) != 0 ? EEXIST : EBUSY);
  if (holds_mount_point(session, from.node->virt)) return Error(EBUSY);
  if (is_mount_point(session, to.node->virt))
    return Error((flags & RENAME_NOREPLACE) != 0 ? EEXIST : EBUSY);
  if ((flags & RENAME_EXCHANGE) != 0 && holds_mount_point(session, to.node->virt))
    return Error(EBUSY);
  if (from.parent->overlay->upper_layer == nullptr) return Error(EROFS);
  return {};
}

bool same_object(const Node& a, const Node& b) {
  if (a.virt == Str(b.virt)) return true;
  if (!a.exists() || !b.exists() || a.has_upper_inode() != b.has_upper_inode() || a.is_dir())
    return false;
  // Links of a lower that no index holds together are objects of their own.
  if (!a.has_upper_inode() && !(a.overlay->has_index && a.lowers[0].layer->indexed)) return false;
  return same_inode(a.real, b.real);
}

class Rename {
 public:
  Rename(Op& op, NamePath& from, NamePath& to, unsigned flags)
      : op_(op), from_(from), to_(to), flags_(flags) {}

  Result<void> run() {
    if (root_to_itself())
      return (flags_ & RENAME_NOREPLACE) != 0 ? Result<void>(Error(EEXIST)) : Result<void>();
    TRY(check_last(op_.session(), from_.walked(), to_.walked(), flags_));
    const Node& seen_from = *from_.walked().node;
    const Node& seen_to = *to_.walked().node;
    places_of_walks();
    // Each walk has looked at a moment of its own: what comes of both is only said when they have
    // been looked at together.
    const bool nothing_moves = !check_names().ok() || nothing_to_do_;
    // Data comes without any lock.
    if (!nothing_moves) TRY(bring(seen_from, seen_to));
    using Topology = Mutation::Topology;
    const bool exclusive = !nothing_moves && with_directory();
    Mutation mutation(op_.session(), exclusive ? Topology::kExclusive : Topology::kShared);
    TRY(from_.settle());
    TRY(to_.settle());
    TRY(check_last(op_.session(), from_.walked(), to_.walked(), flags_));
    const Node* old_dir = from_.walked().parent;
    const Node* new_dir = to_.walked().parent;
    mutation.lock_dirs(*old_dir->overlay, old_dir->virt, new_dir->virt);
    old_ = TRY(look_again(op_, from_.walked()));
    new_ = TRY(look_again(op_, to_.walked()));
    TRY(check_names());
    if (nothing_to_do_) return {};
    if (nothing_moves || (with_directory() && !exclusive)) return Error(kLookAgain);
    if (!TRY(can_move(op_, *old_.node, same_directory())) ||
        (exchange() && !TRY(can_move(op_, *new_.node, same_directory()))))
      return Error(kLookAgain);
    if (exchange()) return exchange_names(op_, old_, new_);
    if (counts_ && is_to_be_counted(*new_.node)) return Error(kLookAgain);
    LinkCount replaced;
    TRY(replaced.hold(op_, mutation, *new_.node));
    LastName last;
    last.hold(*new_.node);
    TRY(move_name(op_, old_, new_));
    replaced.lost_name();
    last.lost_name();
    return {};
  }

 private:
  // A mount point, too, may be renamed to its own name.
  bool root_to_itself() const {
    const Walked& from = from_.walked();
    const Walked& to = to_.walked();
    return from.last == Last::kName && to.last == Last::kName &&
           from.node->virt == Str(to.node->virt) && is_mount_point(op_.session(), from.node->virt);
  }
  bool exchange() const { return (flags_ & RENAME_EXCHANGE) != 0; }
  bool with_directory() const {
    return old_.node->is_dir() || (new_.node->exists() && new_.node->is_dir());
  }
  bool same_directory() const { return old_.dir->virt == Str(new_.dir->virt); }

  Result<void> bring(const Node& from, const Node& to) {
    if (!from.is_dir()) TRY(bring_to_move(op_, from, same_directory()));
    if (exchange() && !to.is_dir()) TRY(bring_to_move(op_, to, same_directory()));
    if (!exchange() && to.exists()) counts_ = TRY(bring_to_count(op_, to));
    TRY(settle_count(op_, from));
    return exchange() ? settle_count(op_, to) : Result<void>();
  }

  void places_of_walks() {
    old_ = Place{from_.walked().parent, from_.walked().node};
    new_ = Place{to_.walked().parent, to_.walked().node};
  }

  // Existence, types, ancestors, permissions; in the kernel's order.
  Result<void> check_names() {
    const Node& node = *old_.node;
    const Node& target = *new_.node;
    if (!node.exists()) return Error(ENOENT);
    if ((flags_ & RENAME_NOREPLACE) != 0 && target.exists()) return Error(EEXIST);
    if (exchange() && !target.exists()) return Error(ENOENT);
    if (exchange() && !target.is_dir() && to_.walked().trailing_slash) return Error(ENOTDIR);
    if (!node.is_dir()) {
      if (from_.walked().trailing_slash) return Error(ENOTDIR);
      if (!exchange() && to_.walked().trailing_slash) return Error(ENOTDIR);
    }
    if (node.is_dir() && is_below_or_same(new_.dir->virt, node.virt)) return Error(EINVAL);
    if (target.exists() && is_below_or_same(old_.dir->virt, target.virt))
      return Error(exchange() ? EINVAL : ENOTEMPTY);
    nothing_to_do_ = same_object(node, target);
    if (nothing_to_do_) return {};
    TRY(check_permissions(node, target));
    TRY(may_move(node));
    return exchange() ? may_move(target) : Result<void>();
  }

  Result<void> check_permissions(const Node& node, const Node& target) {
    TRY(may_remove(op_, *old_.dir, node));
    if (!target.exists()) {
      TRY(may_change_names(op_, *new_.dir));
    } else {
      TRY(may_remove(op_, *new_.dir, target));
      if (!exchange() && node.is_dir() && !target.is_dir()) return Error(ENOTDIR);
      if (!exchange() && !node.is_dir() && target.is_dir()) return Error(EISDIR);
    }
    if (old_.dir->virt == Str(new_.dir->virt)) return {};
    // A directory's ".." changes.
    if (node.is_dir()) TRY(may(op_, node, 2 /* W_OK */));
    if (exchange() && target.is_dir()) TRY(may(op_, target, 2));
    return {};
  }

  Op& op_;
  NamePath& from_;
  NamePath& to_;
  const unsigned flags_;
  Place old_, new_;
  bool nothing_to_do_ = false;
  bool counts_ = true;  // the name that is replaced
};

long on_outside(Op& op, int dirfd, const NamePath& from, int new_dirfd, const NamePath& to,
                unsigned flags) {
  const CStr path = from.outside() ? from.walked().outside_path : from.path();
  const CStr new_path = to.outside() ? to.walked().outside_path : to.path();
  return op.caller().raw(SYS_renameat2, from.outside() ? AT_FDCWD : dirfd,
                         reinterpret_cast<long>(path.c_str()), to.outside() ? AT_FDCWD : new_dirfd,
                         reinterpret_cast<long>(new_path.c_str()), flags, 0);
}

// The kernel has looked up the directory of the first path before it comes to the second. What is
// outside was not looked at yet.
Result<void> find_second(const NamePath& first, NamePath& second, UserPath path) {
  const Result<void> found = second.find(path, kParent);
  if (found.ok() || first.ours()) return found;
  TRY(first.directory_exists_outside());
  return found;
}

// An excluded tree's own name, which stands in a directory of the overlay.
bool is_excluded_root(const Session& session, const NamePath& target) {
  return target.outside() && target.walked().last == Last::kName &&
         is_mount_point(session, target.walked().node->virt);
}

}  // namespace

Outcome op_renameat2(Op& op, int dirfd, UserPath path, int new_dirfd, UserPath new_path,
                     unsigned flags) {
  TRY(check_flags(flags));
  return until_still([&]() -> Outcome {
    NamePath from(op, dirfd), to(op, new_dirfd);
    TRY(from.find(path, kParent));
    TRY(find_second(from, to, new_path));
    if (from.native() && to.native()) return Outcome::native();
    if (is_excluded_root(op.session(), from) || is_excluded_root(op.session(), to))
      return Error(EBUSY);
    if (!from.ours() && !to.ours()) return on_outside(op, dirfd, from, new_dirfd, to, flags);
    if (!from.ours() || !to.ours()) {
      if (!from.ours())
        TRY(from.exists_outside());
      else if (!from.walked().node->exists())
        return Error(ENOENT);
      return Error(EXDEV);
    }
    if ((flags & RENAME_WHITEOUT) != 0) return Error(EINVAL);
    return Rename(op, from, to, flags).run();
  });
}

}  // namespace ovl
