// What programs see of an object: owner and mode as recorded, constant inode numbers, right link
// counts and blocks. Kernel counterpart: ovl_getattr(), ovl_map_dev_ino().
#pragma once

#include "core/caller/op.h"
#include "core/sys/object.h"
#include "core/walk/node.h"

namespace ovl {

// Attributes as programs see them. Requires node.exists().
Result<void> shown_stat(Op& op, const Node& node, StatX* out);
// The same over `attributes`, which the kernel has told of the topmost object (perhaps with more
// fields than node.real has). `top`: that object, for a node whose object has no name any more.
Result<void> show(Op& op, const Node& node, const Object& top, StatX* attributes);

// The inode number (and device) that programs see for an object of a layer, from the real one.
// `node` may be a directory entry's node; used by readdir for d_ino.
uint64_t shown_ino(const Overlay& overlay, const Layer& layer, uint64_t real_ino);

// What identifies an object for programs: st_dev and st_ino.
struct Identity {
  uint32_t dev_major, dev_minor;
  uint64_t ino;
};
// Of a real object as it is, without what lies below it. An object on a mount below a layer keeps
// its own.
Identity identity_of(const Overlay& overlay, const StatX& real);
// Of a node: that of the lower object that it was copied from, when it is a copy. Requires
// node.exists().
Identity shown_identity(const Node& node);

// Access checks on what programs see: EACCES; EPERM to write an immutable object. mask: R_OK | W_OK
// | X_OK. --perm=owner: the owner's bits for everybody; --perm=posix: owner, group, other (and the
// access ACL). override_dac: as root. Whether the kernel lets us read a lower file at all is not
// asked here: the open itself tells.
Result<void> may(Op& op, const Node& node, const Object& top, int mask);
inline Result<void> may(Op& op, const Node& node, int mask) {
  return may(op, node, Object::at(node.top()), mask);
}
// May the caller add and remove names in `dir`? EACCES.
inline Result<void> may_change_names(Op& op, const Node& dir) { return may(op, dir, 2 | 1); }
// May the caller remove or replace `node` in `dir` (sticky bit)? EPERM, EACCES.
Result<void> may_remove(Op& op, const Node& dir, const Node& node);
// The digit that fs.protected_<what> of proc(5) is set to; '0' where it can't be read.
char protection_setting(Op& op, Str what);
// May the caller change mode, times, owner of `node` (is it the owner)? EPERM.
Result<void> may_own(Op& op, const Node& node, const Object& top);
inline Result<void> may_own(Op& op, const Node& node) {
  return may_own(op, node, Object::at(node.top()));
}
// Append-only and immutable (chattr +a, +i): of the real object, or as the kernel's overlayfs keeps
// it in an upper.
struct Flags {
  bool immutable, append;
};
Flags flags_of(const Node& node, const Object& top);
inline Flags flags_of(const Node& node) { return flags_of(node, Object::at(node.top())); }

// Owner, group, type and permission that programs are to see of the upper object at real path
// `upper`: set on the object as far as the user can (real mode kept u+rw, u+rwx for directories),
// and recorded in override_stat where that isn't all. Removes a record that has become superfluous.
// `now`: the object's real attributes.
struct Shown {
  uid_t uid;
  gid_t gid;
  mode_t mode;  // with S_IFMT
  uint32_t rdev_major = 0, rdev_minor = 0;
};
enum class Recorded : uint8_t { kNo, kYes, kUnknown };  // is there a record now?
Result<void> set_shown(Op& op, const Overlay& overlay, const Object& object, const StatX& now,
                       const Shown& shown, Recorded recorded);
inline Result<void> set_shown(Op& op, const Overlay& overlay, CStr upper, const StatX& now,
                              const Shown& shown) {
  return set_shown(op, overlay, Object::at(upper), now, shown, Recorded::kUnknown);
}

}  // namespace ovl
