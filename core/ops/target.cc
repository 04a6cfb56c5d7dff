// See target.h.
#include "core/ops/target.h"

#include <fcntl.h>

#include "core/copy_up/complete.h"
#include "core/names/nameless.h"
#include "core/ops/follow.h"
#include "core/walk/attributes.h"
#include "core/walk/beside.h"

namespace ovl {
namespace {

constexpr size_t kXattrListMost = 65536;

// load_attributes() for an object that is only known by a descriptor.
Result<void> load_open(Op& op, const Object& object, Node* node) {
  const Overlay& overlay = *node->overlay;
  TRY(object.stat(&node->real));
  node->mode = node->real.stx_mode;
  node->uid = node->real.stx_uid;
  node->gid = node->real.stx_gid;
  node->rdev_major = node->real.stx_rdev_major;
  node->rdev_minor = node->real.stx_rdev_minor;
  node->priv = PrivSet();
  node->beside = CStr();
  if (!node->in_upper()) return {};
  if (stands_beside(overlay, node->real.stx_mode)) {
    if (any_beside(op)) TRY(find_beside(op, overlay, object, node));
  } else {
    char* list = op.arena().array<char>(kXattrListMost);
    if (list == nullptr) return Error(ENOMEM);
    const Result<size_t> n = object.list(list, kXattrListMost);
    if (!n.ok()) return {};  // no xattrs on such an object
    node->priv = parse_xattr_list(overlay.format, list, n.value());
    TRY(show_filling(overlay.format, object, node->priv, &node->real));
  }
  if (!node->priv.has(Priv::kOverrideStat)) return {};
  char text[kOverrideStatMax];
  const Result<size_t> n =
      marked_object(*node, object)
          .get(priv_name(overlay.format, Priv::kOverrideStat), text, sizeof text);
  OverrideStat recorded;
  if (!n.ok() || !decode_override_stat(Str(text, n.value()), &recorded).ok()) return {};
  node->uid = recorded.uid;
  node->gid = recorded.gid;
  const mode_t type = recorded.has_type ? recorded.mode : node->mode;
  node->mode = (recorded.mode & 07777) | (type & S_IFMT);
  if (!S_ISREG(type)) {
    node->rdev_major = recorded.rdev_major;
    node->rdev_minor = recorded.rdev_minor;
  }
  return {};
}

// What has no name any more: `t->top` is all that there is of it.
Result<void> detach(Op& op, const Overlay* overlay, bool on_lower, Target* t) {
  Node* node = op.arena().make<Node>();
  if (node == nullptr) return Error(ENOMEM);
  node->overlay = overlay;
  node->where = on_lower ? Where::kLower : Where::kUpper;
  t->detached = true;
  t->top = t->on_path ? Object::open_path(t->fd.get()) : Object::open(t->fd.get());
  TRY(load_open(op, t->top, node));
  t->node = node;
  return {};
}

Result<Target> find_orphan(Op& op, const Orphan& orphan) {
  if (orphan.fd >= 0) return find_fd(op, orphan.fd, FdUse::kAny);
  Target t;
  t.fd = BorrowedFd(TRY(sys_openat(orphan.link, O_PATH)));
  t.by_fd = t.on_path = true;
  t.on_lower = orphan.on_lower;
  TRY(detach(op, orphan.overlay, orphan.on_lower, &t));
  t.gone = orphan.on_lower;
  return t;
}

}  // namespace

Result<Target> find(Op& op, int dirfd, CStr path, unsigned flags) {
  if (path.empty() && (flags & kEmptyPath) && dirfd != AT_FDCWD)
    return find_fd(op, dirfd, FdUse::kAny);
  Target t;
  Walked w = TRY(walk_existing(op, dirfd, path, flags));
  if (w.orphan) return find_orphan(op, w.orphan);
  if (w.native) {
    t.native = true;
  } else if (w.outside()) {
    t.outside = w.outside_path;
  } else {
    t.node = w.node;
    t.top = Object::at(w.node->top());
  }
  return t;
}

Result<Target> find(Op& op, int dirfd, UserPath path, unsigned flags) {
  return find(op, dirfd, TRY(op.caller().copy_in_path(op.arena(), path)), flags);
}

Result<Target> find_fd(Op& op, int fd, FdUse use) {
  follow_if_stale(op);
  Target t;
  FdNode found = TRY(node_of_fd(op, fd));
  if (found.node != nullptr && found.node->outside()) found.node = nullptr;
  // What was removed, or has no name yet, may stand in the workdir.
  if (found.node == nullptr && !found.detached) {
    found.overlay = op.session().workdir_with(found.real);
    found.detached = found.overlay != nullptr;
  }
  t.detached = found.detached;
  t.on_lower = found.on_lower;
  t.by_fd = true;
  if (found.node == nullptr && !found.detached) {
    t.native = true;
    return t;
  }
  t.fd = TRY(op.caller().borrow(fd));
  t.on_path = (TRY(checked(raw_call(SYS_fcntl, t.fd.get(), F_GETFL))) & O_PATH) != 0;
  if (t.on_path && use == FdUse::kOpened) return Error(EBADF);
  if (t.detached) {
    const Nameless copy = TRY(nameless_copy(op, found, t.fd.get()));
    if (copy.node != nullptr) {
      t.on_lower = false;
      t.gone = copy.gone;
      t.top = Object::at(copy.node->top());
      t.node = copy.node;
    } else {
      TRY(detach(op, found.overlay, found.on_lower, &t));
      if (found.on_lower && t.node->is_regular()) t.found = found;
      t.gone = found.on_lower || (t.node->is_regular() && is_kept(op, t.node->real));
    }
    return t;
  }
  t.node = found.node;
  // The descriptor itself is surer than the name; but not what it can't do, and not when a better
  // object stands above.
  const bool usable = !t.on_path && t.on_lower != found.node->has_upper_inode();
  t.top = usable ? Object::open(t.fd.get()) : Object::at(found.node->top());
  return t;
}

Result<void> may_change(const Target& t) {
  if (t.node->overlay->upper_layer == nullptr) return Error(EROFS);
  // A lower's directory that the overlay shows nowhere any more has no place that it could be
  // copied to.
  if (t.detached && t.on_lower && t.found.overlay == nullptr) return Error(EROFS);
  return {};
}

Result<Changing> begin_detached(Op& op, const Target& t) {
  if (!t.on_lower) return Changing{t.node, t.top};
  const Node* node = TRY(bring_nameless(op, t.found, t.fd.get()));
  return Changing{node, Object::at(node->upper)};
}

Result<Changing> begin_change(Op& op, Mutation& mutation, const Target& t, const Node& node) {
  const Str dir = node.virt == node.overlay->at ? Str(node.virt) : dir_name(node.virt);
  mutation.lock_dir(*node.overlay, dir);
  Node* now = op.arena().make<Node>();
  if (now == nullptr) return Error(ENOMEM);
  *now = node;
  if (t.by_fd && t.top.is_fd() && t.node->in_upper()) {
    TRY(load_open(op, t.top, now));
    if (!now->filling()) return Changing{now, t.top};
    TRY(give_up_filling(op, *now));
    TRY(load_open(op, t.top, now));
    return Changing{now, t.top};
  }
  Result<void> loaded = load_attributes(op, now);
  if (loaded.ok() && same_inode(now->real, node.real) && now->filling()) {
    TRY(give_up_filling(op, *now));
    loaded = load_attributes(op, now);
  }
  if (loaded.ok() && same_inode(now->real, node.real)) return Changing{now, Object::at(now->upper)};
  if (!loaded.ok() && loaded.error() != ENOENT && loaded.error() != ENOTDIR)
    return Error(loaded.error());
  return Error(kLookAgain);
}

}  // namespace ovl
