// newfstatat(2), statx(2), fstat(2). Kernel counterpart: vfs_statx(), ovl_getattr().
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/ops/target.h"
#include "core/session/name_watch.h"
#include "core/session/plain.h"

namespace ovl {
namespace {

constexpr int kStatFlags =
    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;

#ifndef STATX_MNT_ID_UNIQUE
constexpr unsigned STATX_MNT_ID_UNIQUE = 0x4000;
#endif
constexpr unsigned kMountMask = STATX_MNT_ID | STATX_MNT_ID_UNIQUE;

timespec to_timespec(const statx_timestamp& t) {
  return timespec{static_cast<time_t>(t.tv_sec), static_cast<long>(t.tv_nsec)};
}

// The kernel's struct stat of x86-64 is libc's.
void to_stat(const StatX& from, struct stat* to) {
  memset(to, 0, sizeof *to);
  to->st_dev = makedev(from.stx_dev_major, from.stx_dev_minor);
  to->st_ino = from.stx_ino;
  to->st_nlink = from.stx_nlink;
  to->st_mode = from.stx_mode;
  to->st_uid = from.stx_uid;
  to->st_gid = from.stx_gid;
  to->st_rdev = makedev(from.stx_rdev_major, from.stx_rdev_minor);
  to->st_size = static_cast<off_t>(from.stx_size);
  to->st_blksize = static_cast<blksize_t>(from.stx_blksize);
  to->st_blocks = static_cast<blkcnt_t>(from.stx_blocks);
  to->st_atim = to_timespec(from.stx_atime);
  to->st_mtim = to_timespec(from.stx_mtime);
  to->st_ctim = to_timespec(from.stx_ctime);
}

Outcome give_stat(Op& op, const StatX& attributes, UserBuf out) {
  struct stat st;
  to_stat(attributes, &st);
  return op.caller().copy_out(out, &st, sizeof st);
}

// An object that lost its last name here still has its lower's link count for the kernel.
void unlinked(StatX* attributes) {
  if (S_ISDIR(attributes->stx_mode))
    attributes->stx_nlink = 0;
  else if (attributes->stx_nlink > 0)
    attributes->stx_nlink--;
}

// A descriptor that was opened for reading before the data was copied up still reads the lower's:
// size and blocks are of what it reads, so that nobody maps or reads past its end.
Result<void> keep_size(const Target& t, StatX* attributes) {
  if (!t.by_fd || !t.on_lower || t.on_path || !t.node->is_regular()) return {};
  if (!t.node->has_upper_inode() || t.node->metacopy()) return {};
  StatX open;
  TRY(sys_fstat(t.fd.get(), &open));
  attributes->stx_size = open.stx_size;
  attributes->stx_blocks = open.stx_blocks;
  return {};
}

// Fills in what programs see over what the kernel told of the topmost object.
Result<void> show_target(Op& op, const Target& t, StatX* attributes) {
  TRY(show(op, *t.node, t.top, attributes));
  if (t.gone) unlinked(attributes);
  return keep_size(t, attributes);
}

// What marks a file of the upper is read by its name, which another may have got in between.
// kLookAgain. (A directory that moves makes the walk look again.)
Result<void> check_still_there(const Target& t, const NameWatch& names) {
  const Node& node = *t.node;
  if (t.by_fd || node.is_dir() || !node.has_upper_inode() || names.held_still()) return {};
  StatX now;
  const bool same = t.top.stat(&now).ok() && same_inode(now, node.real) &&
                    now.stx_nlink == node.real.stx_nlink &&
                    now.stx_ctime.tv_sec == node.real.stx_ctime.tv_sec &&
                    now.stx_ctime.tv_nsec == node.real.stx_ctime.tv_nsec;
  return same ? Result<void>() : Result<void>(Error(kLookAgain));
}

// The whole overlay is one mount for programs: the topmost lower's.
Result<void> show_mount(const Target& t, unsigned mask, StatX* attributes) {
  if ((mask & kMountMask) == 0 || !t.node->has_upper_inode() || t.node->overlay->lower_count == 0)
    return {};
  StatX root;
  At at(t.node->overlay->lowers[0].root);
  if (at.error()) return Error(at.error());
  TRY(checked_void(
      raw_call(SYS_statx, at.dirfd(), at.name(), AT_SYMLINK_NOFOLLOW, mask & kMountMask, &root)));
  attributes->stx_mnt_id = root.stx_mnt_id;
  attributes->stx_mask &= ~kMountMask;
  attributes->stx_mask |= root.stx_mask & kMountMask;
  return {};
}

Outcome stat_fd(Op& op, int fd, UserBuf out) {
  struct stat native;
  TRY(op.caller().fstat(fd, &native));
  const uint64_t stamp = shown_stamp(op.session());
  if (is_plain(stamp, native.st_dev, native.st_ino))
    return op.caller().copy_out(out, &native, sizeof native);
  // What is no object of a file system is the kernel's. Of others the type rules nothing out
  // (O_PATH), nor does the device: a mount below a lower has one of its own.
  if ((native.st_mode & S_IFMT) != 0) {
    Result<Target> found = find_fd(op, fd, FdUse::kAny);
    // Inherited from somebody who may search the directory, or in one that no path leads to; the
    // descriptor itself tells enough.
    if (!found.ok() && (found.error() == EACCES || found.error() == ENAMETOOLONG))
      return op.caller().copy_out(out, &native, sizeof native);
    const Target t = TRY(std::move(found));
    if (!t.native) {
      StatX attributes = t.node->real;
      TRY(show_target(op, t, &attributes));
      return give_stat(op, attributes, out);
    }
    remember_plain(stamp, native.st_dev, native.st_ino);
  }
  return op.caller().copy_out(out, &native, sizeof native);
}

// By descriptor it is what it is, also where the way to it may not be searched: as in stat_fd().
Result<Target> find_to_tell(Op& op, int dirfd, UserPath user_path, int flags) {
  const bool by_descriptor = (flags & AT_EMPTY_PATH) != 0 && dirfd >= 0;
  CStr path;
  if (!by_descriptor || !user_path.null())
    path = TRY(op.caller().copy_in_path(op.arena(), user_path));
  Result<Target> found = find(op, dirfd, path, walk_flags(flags));
  if (found.ok() || !by_descriptor || !path.empty()) return found;
  if (found.error() != EACCES && found.error() != ENAMETOOLONG) return found;
  Target t;
  t.native = true;
  return t;
}

// statx(2) on the topmost object, for the fields that a node does not carry.
Result<void> statx_top(const Target& t, int flags, unsigned mask, StatX* out) {
  if (t.top.is_fd())
    return checked_void(raw_call(SYS_statx, t.top.fd(), "", flags | AT_EMPTY_PATH, mask, out));
  At at(t.top.path());
  if (at.error()) return Error(at.error());
  return checked_void(
      raw_call(SYS_statx, at.dirfd(), at.name(), flags | AT_SYMLINK_NOFOLLOW, mask, out));
}

Outcome stat_found(Op& op, const Target& t, const NameWatch& names, UserBuf out, int flags) {
  if (t.native) return Outcome::native();
  if (t.is_outside()) {
    struct stat st;
    Outcome r = call_outside(t, SYS_newfstatat, &st, flags & ~AT_EMPTY_PATH);
    if (r.value() < 0) return r;
    return op.caller().copy_out(out, &st, sizeof st);
  }
  StatX attributes = t.node->real;
  TRY(show_target(op, t, &attributes));
  TRY(check_still_there(t, names));
  return give_stat(op, attributes, out);
}

Outcome statx_found(Op& op, const Target& t, const NameWatch& names, UserBuf out, int flags,
                    unsigned mask) {
  if (t.native) return Outcome::native();
  StatX attributes;
  if (t.is_outside()) {
    Outcome r = call_outside(t, SYS_statx, flags & ~AT_EMPTY_PATH, mask, &attributes);
    if (r.value() < 0) return r;
  } else {
    const int sync = flags & (AT_STATX_SYNC_TYPE | AT_NO_AUTOMOUNT);
    TRY(statx_top(t, sync, mask | STATX_BASIC_STATS, &attributes));
    TRY(show_target(op, t, &attributes));
    TRY(show_mount(t, mask, &attributes));
    TRY(check_still_there(t, names));
  }
  return op.caller().copy_out(out, &attributes, sizeof attributes);
}

// act(const Target&, const NameWatch&) -> Outcome.
template <class Act>
Outcome tell(Op& op, int dirfd, UserPath path, int flags, Act act) {
  NameWatch names(op.session());
  const auto find_now = [&] {
    names.begin();
    return find_to_tell(op, dirfd, path, flags);
  };
  return on_target(find_now, [&](const Target& t) { return act(t, names); });
}

}  // namespace

Outcome op_newfstatat(Op& op, int dirfd, UserPath user_path, UserBuf out, int flags) {
  // The kernel looks at descriptors first: fstat(2) of newer libcs is newfstatat(fd, "",
  // AT_EMPTY_PATH), and a NULL path is no path then either.
  if (flags == AT_EMPTY_PATH && dirfd >= 0) {
    if (user_path.null()) return stat_fd(op, dirfd, out);
    char first;
    TRY(op.caller().copy_in(&first, user_path.as<const void>(), 1));
    if (first == 0) return stat_fd(op, dirfd, out);
  }
  if ((flags & ~kStatFlags) != 0) return Error(EINVAL);
  return tell(op, dirfd, user_path, flags, [&](const Target& t, const NameWatch& names) {
    return stat_found(op, t, names, out, flags);
  });
}

Outcome op_statx(Op& op, int dirfd, UserPath user_path, int flags, unsigned mask, UserBuf out) {
  if ((mask & STATX__RESERVED) != 0) return Error(EINVAL);
  if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) return Error(EINVAL);
  if ((flags & ~kStatFlags) != 0) return Error(EINVAL);
  // EFAULT before 6.11, EBADF, or the cwd's: the kernel knows.
  if (user_path.null() && (flags & AT_EMPTY_PATH) && dirfd < 0) return Outcome::native();
  return tell(op, dirfd, user_path, flags, [&](const Target& t, const NameWatch& names) {
    return statx_found(op, t, names, out, flags, mask);
  });
}

Outcome op_fstat(Op& op, int fd, UserBuf out) { return stat_fd(op, fd, out); }

}  // namespace ovl
