// linkat. A lower file is copied up first, as a metacopy where it can be: the names of a hard link
// share one upper inode, and so one redirect to the data. Kernel counterpart: do_linkat(),
// ovl_link(), ovl_set_link_redirect().
#include <fcntl.h>

#include "core/attr/attr.h"
#include "core/copy_up/linked.h"
#include "core/copy_up/marks.h"
#include "core/names/create.h"
#include "core/names/nameless.h"
#include "core/names/redirect.h"
#include "core/ops/ops.h"
#include "core/walk/magic.h"
#include "core/walk/removed.h"

namespace ovl {
namespace {

class NewLink final : public Creation {
 public:
  explicit NewLink(CStr from, int flags = 0) : Creation(Kind::kLink), from_(from), flags_(flags) {}
  Result<void> make(CStr real) override { return sys_link(from_, real, flags_); }

 private:
  const CStr from_;
  const int flags_;
};

// An unnamed file (O_TMPFILE) of an upper, given by descriptor or by its magic link. One that got a
// name since is still known to the kernel as deleted, so that its name is not to be had.
struct Unnamed {
  const Overlay* overlay = nullptr;  // nullptr: it is none
  CStr path;                         // follow it
  BorrowedFd fd;
};

// The descriptor behind /proc/self/fd/N, or -1.
int descriptor_of(Str path) {
  if (!is_magic_name(path)) return -1;
  const Str number = base_name(path);
  const Str start = path.sub(0, path.size() - number.size());
  if (start != Str("/proc/self/fd/") && start != Str("/proc/thread-self/fd/")) return -1;
  int fd = 0;
  for (char c : number) {
    if (c < '0' || c > '9' || fd > 100000000) return -1;
    fd = fd * 10 + (c - '0');
  }
  return fd;
}

Result<void> find_unnamed(Op& op, int dirfd, CStr name, int flags, Unnamed* out) {
  int fd = -1;
  if (name.empty() && (flags & AT_EMPTY_PATH) != 0)
    fd = dirfd;
  else if ((flags & AT_SYMLINK_FOLLOW) != 0)
    fd = descriptor_of(name);
  if (fd < 0) return {};
  Result<CStr> real = op.caller().fd_link(op.arena(), fd);
  if (!real.ok() || !real.value().starts_with("/")) return {};
  out->overlay = op.session().upper_with(real.value());
  if (out->overlay == nullptr && op.session().workdir_with(real.value()) == nullptr) return {};
  out->fd = TRY(op.caller().borrow(fd));
  StatX st;
  TRY(sys_fstat(out->fd.get(), &st));
  if (is_kept(op, st)) return Error(ENOENT);  // it had names
  out->path = descriptor_link(op.arena(), out->fd.get());
  return {};
}

// As the kernel's mounts have it by default (proc(5), protected_hardlinks): nobody makes links of
// what it could neither have made nor change. EPERM. Kernel counterpart: may_linkat().
Result<void> may_link(Op& op, const Node& node) {
  if (node.overlay->perm != Perm::kPosix || may_own(op, node).ok()) return {};
  if (protection_setting(op, "hardlinks") == '0') return {};
  constexpr mode_t kGroupsOwn = S_ISGID | S_IXGRP;
  const bool odd =
      !node.is_regular() || (node.mode & S_ISUID) != 0 || (node.mode & kGroupsOwn) == kGroupsOwn;
  if (odd || !may(op, node, 4 /* R_OK */ | 2 /* W_OK */).ok()) return Error(EPERM);
  return {};
}

// Another name for what `from` names. Errors: kLookAgain (it has changed hands).
Result<void> link_named(Op& op, NamePath& from, NamePath& to) {
  const Node& seen = *from.walked().node;
  // Before anything is asked of the directory, but a name that is taken.
  const Walked& free = to.walked();
  if (free.last == Last::kName && !free.trailing_slash && !free.node->exists() &&
      free.parent->overlay == seen.overlay)
    TRY(may_link(op, seen));
  TRY(may_create(op, free, Place{free.parent, free.node}, false));
  if (seen.overlay != free.parent->overlay) return Error(EXDEV);
  const Flags flags = flags_of(seen);
  if (flags.immutable || flags.append || seen.is_dir()) return Error(EPERM);
  TRY(bring_to_move(op, seen, false));

  Mutation mutation(op.session(), Mutation::Topology::kShared);
  TRY(from.settle());
  TRY(to.settle());
  if (to.walked().last != Last::kName) return Error(EEXIST);
  const Overlay& overlay = *seen.overlay;
  mutation.lock_dirs(overlay, from.walked().parent->virt, to.walked().parent->virt);
  const Place old_place = TRY(look_again(op, from.walked()));
  const Node& node = *old_place.node;
  if (node.is_dir() || !TRY(can_move(op, node, false))) return Error(kLookAgain);
  const Place place = TRY(look_again(op, to.walked()));
  TRY(may_create(op, to.walked(), place, false));
  if (node.metacopy())
    TRY(set_redirect(op, node, false));
  else
    TRY(make_origin_whole(op, node));
  LinkCount count;
  TRY(count.hold(op, mutation, node));
  const Node* dir = TRY(copy_up_dir(op, *place.dir));
  if (node.priv.has(Priv::kOrigin) || node.lower_count != 0) TRY(mark_impure(op, *dir));
  NewLink creation(node.upper);
  return create_at(op, Place{dir, place.node}, creation);
}

Result<void> link_unnamed(Op& op, const Unnamed& unnamed, NamePath& to) {
  if (!to.ours()) return Error(EXDEV);
  TRY(may_create(op, to.walked(), Place{to.walked().parent, to.walked().node}, false));
  if (unnamed.overlay != to.walked().parent->overlay) return Error(EXDEV);
  const char* const origin = priv_name(unnamed.overlay->format, Priv::kOrigin);
  if (Object::open_path(unnamed.fd.get()).get(origin, nullptr, 0).ok()) {
    const Result<const Node*> dir = copy_up(op, *to.walked().parent, Data::kNone);
    if (!dir.ok()) return Error(dir.error() == ENOENT ? kLookAgain : dir.error());
    TRY(mark_impure(op, *dir.value()));
  }
  NewLink creation(unnamed.path, AT_SYMLINK_FOLLOW);
  return create_name(op, to, creation);
}

// Neither is ours, but one leads out of an overlay: on the path that it leads to.
long on_outside(Op& op, int dirfd, CStr path, const NamePath& from, int new_dirfd, CStr new_path,
                const NamePath& to, int flags) {
  if (from.outside()) {
    dirfd = AT_FDCWD;
    path = from.walked().outside_path;
    flags = 0;  // followed already
  }
  if (to.outside()) {
    new_dirfd = AT_FDCWD;
    new_path = to.walked().outside_path;
  }
  return op.caller().raw(SYS_linkat, dirfd, reinterpret_cast<long>(path.c_str()), new_dirfd,
                         reinterpret_cast<long>(new_path.c_str()), flags, 0);
}

}  // namespace

Outcome op_linkat(Op& op, int dirfd, UserPath path, int new_dirfd, UserPath new_path, int flags) {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) return Error(EINVAL);
  const unsigned walk_flags = ((flags & AT_SYMLINK_FOLLOW) != 0 ? kFollow : 0u) |
                              ((flags & AT_EMPTY_PATH) != 0 ? kEmptyPath : 0u);
  return until_still([&]() -> Outcome {
    NamePath from(op, dirfd), to(op, new_dirfd);
    TRY(from.find(path, walk_flags));
    if (from.ours() && !from.walked().node->exists()) return Error(ENOENT);
    if (Result<void> found = to.find(new_path, kParent); !found.ok()) {
      // The error of what is not ours comes first.
      if (!from.ours()) TRY(from.exists_outside());
      return Error(found.error());
    }
    if (!from.ours()) {
      // A lower's, which may lie in the upper of a session around.
      if (from.walked().orphan && from.walked().orphan.on_lower) return Error(ENOENT);
      Unnamed unnamed;
      TRY(find_unnamed(op, dirfd, from.path(), flags, &unnamed));
      if (unnamed.overlay != nullptr) return link_unnamed(op, unnamed, to);
    }
    if (from.native() && to.native()) return Outcome::native();
    if (!from.ours() && !to.ours())
      return on_outside(op, dirfd, from.path(), from, new_dirfd, to.path(), to, flags);
    if (!from.ours()) TRY(from.exists_outside());
    if (!to.ours()) {
      const Result<void> there = to.exists_outside();
      if (there.ok()) return Error(EEXIST);
      if (there.error() != ENOENT) return Error(there.error());
    }
    if (!from.ours() || !to.ours()) return Error(EXDEV);
    return link_named(op, from, to);
  });
}

}  // namespace ovl
