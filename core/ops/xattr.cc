// The xattr calls. Names of ours are hidden and a program's own below our prefix escaped
// (format/names.cc); an access list goes hand in hand with the mode that programs see; security.*
// that the user can't set but the file's owner could is stored beside. Kernel counterpart:
// fs/xattr.c, fs/overlayfs/xattrs.c, ovl_set_or_remove_acl().
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/attr/acl.h"
#include "core/ops/target.h"

namespace ovl {
namespace {

// Which rules a name falls under.
enum class Space : uint8_t {
  kUser,
  kTrusted,
  kSecurity,
  kAccessAcl,
  kDefaultAcl,
  kSystem,   // no other ones exist here
  kUnknown,  // nor of these
};

Space space_of(Str name) {
  if (name.starts_with(XATTR_USER_PREFIX)) return Space::kUser;
  if (name.starts_with(XATTR_TRUSTED_PREFIX)) return Space::kTrusted;
  if (name.starts_with(XATTR_SECURITY_PREFIX)) return Space::kSecurity;
  if (name == Str(kAccessAcl)) return Space::kAccessAcl;
  if (name == Str(kDefaultAcl)) return Space::kDefaultAcl;
  if (name.starts_with(XATTR_SYSTEM_PREFIX)) return Space::kSystem;
  return Space::kUnknown;
}

bool on_file_or_dir(const Node& node) { return node.is_dir() || node.is_regular(); }

Result<CStr> copy_in_name(Op& op, UserPath user_name) {
  Result<CStr> name = op.caller().copy_in_string(op.arena(), user_name, XATTR_NAME_MAX + 1);
  if (!name.ok()) return Error(name.error() == E2BIG ? ERANGE : name.error());
  if (name.value().empty()) return Error(ERANGE);
  return name;
}

// The name on disk. Empty data(): a name of ours, which programs have not.
Result<CStr> disk_name(Op& op, const Node& node, CStr name, bool store_security) {
  CStr stored;
  switch (name_to_disk(op.arena(), node.format(), name, store_security, &stored)) {
    case NameClass::kPlain:
      return name;
    case NameClass::kHidden:
      return CStr(nullptr, 0);
    case NameClass::kStored:
      break;
  }
  if (stored.data() == nullptr) return Error(ENOMEM);
  if (stored.size() > XATTR_NAME_MAX) return Error(EOPNOTSUPP);
  return stored;
}

// --- who may: xattr_permission() ---

Result<void> may_read(Op& op, const Target& t, Space space) {
  switch (space) {
    case Space::kUser:
      if (!on_file_or_dir(*t.node)) return Error(ENODATA);
      return may(op, *t.node, t.top, R_OK);
    case Space::kTrusted:
      if (!op.caller().credentials().override_dac) return Error(ENODATA);
      return {};
    case Space::kUnknown:
      TRY(may(op, *t.node, t.top, R_OK));
      return Error(EOPNOTSUPP);
    case Space::kSystem:
      return Error(EOPNOTSUPP);
    default:
      return {};
  }
}

Result<void> may_write_user(Op& op, const Target& t) {
  const Node& node = *t.node;
  if (!on_file_or_dir(node)) return Error(EPERM);
  if (node.is_dir() && (node.mode & S_ISVTX)) TRY(may_own(op, node, t.top));
  return may(op, node, t.top, W_OK);
}

Result<void> may_write(Op& op, const Target& t, Space space) {
  TRY(may_change(t));
  const Flags flags = flags_of(*t.node, t.top);
  if (flags.immutable || flags.append) return Error(EPERM);
  switch (space) {
    case Space::kUser:
      return may_write_user(op, t);
    case Space::kTrusted:
      if (!op.caller().credentials().override_dac) return Error(EPERM);
      return {};
    case Space::kAccessAcl:
    case Space::kDefaultAcl:
      if (t.node->is_symlink()) return Error(EOPNOTSUPP);
      if (space == Space::kDefaultAcl && !t.node->is_dir()) return Error(EACCES);
      return may_own(op, *t.node, t.top);
    case Space::kSecurity:
      return {};
    case Space::kUnknown:
      TRY(may(op, *t.node, t.top, W_OK));
      return Error(EOPNOTSUPP);
    case Space::kSystem:
      return Error(EOPNOTSUPP);
  }
  return {};
}

// Could the owner in whose place the caller stands set security.*? Then what the caller can't is
// stored.
bool as_root(Op& op, const Node& node) {
  if (op.caller().credentials().override_dac) return true;
  return node.overlay->perm == Perm::kOwner && node.uid == 0 && on_file_or_dir(node);
}

// --- reading ---

// An access list as programs are to see it: its owner entry says what the mode says.
void show_acl(const Node& node, void* value, size_t size) {
  Acl acl(value, size);
  if (acl.valid()) acl.set_owner((node.mode >> 6) & 7);
}

Result<size_t> read_value(Op& op, const Target& t, CStr name, Space space, void* value,
                          size_t size) {
  const Node& node = *t.node;
  if (space == Space::kSecurity && on_file_or_dir(node)) {
    const CStr stored = TRY(disk_name(op, node, name, true));
    Result<size_t> n = t.top.get(stored.c_str(), value, size);
    if (n.ok() || n.error() == ERANGE) return n;
  }
  const CStr real = TRY(disk_name(op, node, name, false));
  if (real.data() == nullptr) return Error(ENODATA);
  Result<size_t> n = t.top.get(real.c_str(), value, size);
  if (n.ok() && space == Space::kAccessAcl && size != 0) show_acl(node, value, n.value());
  // A lower's file system that has none: the upper's has.
  const bool acl = space == Space::kAccessAcl || space == Space::kDefaultAcl;
  if (acl && !n.ok() && n.error() == EOPNOTSUPP && !node.is_symlink()) return Error(ENODATA);
  return n;
}

Outcome give_value(Op& op, const Target& t, CStr name, UserBuf out, size_t size) {
  const Space space = space_of(name);
  TRY(may_read(op, t, space));
  if (size > XATTR_SIZE_MAX) size = XATTR_SIZE_MAX;
  void* value = op.arena().alloc(size);
  if (value == nullptr) return Error(ENOMEM);
  const size_t n = TRY(read_value(op, t, name, space, value, size));
  if (size != 0) TRY(op.caller().copy_out(out, value, n));
  return static_cast<long>(n);
}

// Is `name` in a list of names?
bool listed(Str list, Str name) {
  for (size_t at = 0; at < list.size();) {
    size_t end = list.find('\0', at);
    if (end == SIZE_MAX) end = list.size();
    if (list.sub(at, end - at) == name) return true;
    at = end + 1;
  }
  return false;
}

// The names that programs see. An escaped one is shorter than it is on disk: the result fits.
Result<Str> shown_names(Op& op, const Target& t) {
  char* list = op.arena().array<char>(XATTR_LIST_MAX);
  char* shown = op.arena().array<char>(XATTR_LIST_MAX);
  if (list == nullptr || shown == nullptr) return Error(ENOMEM);
  const size_t n = TRY(t.top.list(list, XATTR_LIST_MAX));
  const Str all(list, n);
  size_t used = 0;
  for (size_t at = 0; at < n;) {
    size_t end = all.find('\0', at);
    if (end == SIZE_MAX) end = n;
    const Str on_disk = all.sub(at, end - at);
    at = end + 1;
    CStr other;
    const NameClass kind = name_from_disk(op.arena(), t.node->format(), on_disk, &other);
    if (kind == NameClass::kHidden) continue;
    const Str name = kind == NameClass::kStored ? Str(other) : on_disk;
    if (name.data() == nullptr) return Error(ENOMEM);
    // A stored security.* may stand beside a real one.
    if (kind == NameClass::kStored && listed(Str(shown, used), name)) continue;
    memcpy(shown + used, name.data(), name.size());
    shown[used + name.size()] = 0;
    used += name.size() + 1;
  }
  return Str(shown, used);
}

Outcome give_names(Op& op, const Target& t, UserBuf out, size_t size) {
  const Str names = TRY(shown_names(op, t));
  if (size == 0) return static_cast<long>(names.size());
  if (names.size() > size) return Error(ERANGE);
  TRY(op.caller().copy_out(out, names.data(), names.size()));
  return static_cast<long>(names.size());
}

// --- changing ---

struct Value {
  void* data;
  size_t size;
  int flags;
};

Recorded recorded(const Node& node) {
  return node.priv.has(Priv::kOverrideStat) ? Recorded::kYes : Recorded::kNo;
}

// An object's access list, or that it has none.
class AccessAcl {
 public:
  AccessAcl(Op& op, const Object& object)
      : object_(object), list_(op.arena().array<char>(kAclMax)) {
    if (list_ != nullptr) size_ = object.get(kAccessAcl, list_, kAclMax);
  }
  void put_back(mode_t mode) const {
    if (size_.ok()) return ignore(object_.set(kAccessAcl, list_, size_.value()));
    if (size_.error() != ENODATA) return;
    ignore(object_.remove(kAccessAcl));
    ignore(object_.chmod(mode & kModeBits));
  }

 private:
  static constexpr mode_t kModeBits = 07777;
  const Object& object_;
  char* const list_;
  Result<size_t> size_ = Error(ENOMEM);
};

// An access list sets the mode too. The real object keeps its owner's u+rw(x), what programs see is
// recorded.
Result<void> set_access_acl(Op& op, const Changing& c, const Value& value) {
  const Node& node = *c.node;
  Acl acl(value.data, value.size);
  if (!acl.valid()) return c.object.set(kAccessAcl, value.data, value.size, value.flags);
  mode_t mode = (node.mode & ~mode_t{0777}) | acl.mode();
  const Credentials who = op.caller().credentials();
  if ((mode & S_ISGID) && !who.override_dac && !op.caller().in_group(node.gid))
    mode &= ~mode_t{S_ISGID};
  if (!who.override_dac) acl.set_owner((mode >> 6) | (node.is_dir() ? 7 : 6));
  const AccessAcl before(op, c.object);
  TRY(c.object.set(kAccessAcl, value.data, value.size, value.flags));
  // The list has set the real mode.
  StatX now = node.real;
  now.stx_mode = static_cast<uint16_t>((now.stx_mode & ~mode_t{0777}) | acl.mode());
  if ((now.stx_mode & S_ISGID) != 0) ignore(c.object.stat(&now));  // which may have gone by that
  const Shown shown = {node.uid, node.gid, mode, node.rdev_major, node.rdev_minor};
  const Result<void> r = set_shown(op, *node.overlay, c.object, now, shown, recorded(node));
  if (!r.ok()) before.put_back(node.real.stx_mode);
  return r;
}

// Really where the user can; else stored, where an owner could.
Result<void> set_security(Op& op, const Changing& c, CStr name, const Value& value) {
  const CStr stored = TRY(disk_name(op, *c.node, name, true));
  const bool file = on_file_or_dir(*c.node);
  // The one that programs see is the stored one, when there is one: CREATE and REPLACE are about
  // it.
  const bool has_stored = file && c.object.get(stored.c_str(), nullptr, 0).ok();
  if (has_stored && (value.flags & XATTR_CREATE)) return Error(EEXIST);
  Result<void> r = c.object.set(name.c_str(), value.data, value.size, has_stored ? 0 : value.flags);
  if (r.ok()) return has_stored ? ignore_if(c.object.remove(stored.c_str()), ENODATA) : r;
  if (r.error() != EPERM || !file) return r;
  return c.object.set(stored.c_str(), value.data, value.size, value.flags);
}

Result<void> apply_set(Op& op, const Changing& c, CStr name, Space space, const Value& value) {
  if (space == Space::kAccessAcl) return set_access_acl(op, c, value);
  if (space == Space::kSecurity) return set_security(op, c, name, value);
  const CStr real = TRY(disk_name(op, *c.node, name, false));
  return c.object.set(real.c_str(), value.data, value.size, value.flags);
}

Result<void> apply_remove(Op& op, const Changing& c, CStr name, Space space) {
  const CStr real = TRY(disk_name(op, *c.node, name, false));
  if (space != Space::kSecurity) return c.object.remove(real.c_str());
  const CStr stored = TRY(disk_name(op, *c.node, name, true));
  Result<void> r = Error(ENODATA);
  if (on_file_or_dir(*c.node)) r = c.object.remove(stored.c_str());
  const Result<size_t> plain = c.object.get(real.c_str(), nullptr, 0);
  if (!plain.ok() && plain.error() == ENODATA) return r;
  return c.object.remove(real.c_str());
}

Outcome remove_value(Op& op, const Target& t, CStr name) {
  const Space space = space_of(name);
  const Result<void> may = may_write(op, t, space);
  // Only directories have a default ACL, and to remove none is no error.
  if (!may.ok() && may.error() == EACCES && space == Space::kDefaultAcl) return 0;
  TRY(may);
  if (TRY(disk_name(op, *t.node, name, false)).data() == nullptr) return Error(ENODATA);
  if (space == Space::kSecurity && !as_root(op, *t.node)) return Error(EPERM);
  // Removing nothing must not copy anything up.
  if (!t.node->in_upper()) {
    Result<size_t> n = read_value(op, t, name, space, nullptr, 0);
    const bool acl = space == Space::kAccessAcl || space == Space::kDefaultAcl;
    if (!n.ok() && n.error() == ENODATA && acl) return 0;
    if (!n.ok()) return Error(n.error());
  }
  return change(op, t, Data::kNone,
                [&](const Changing& c) { return apply_remove(op, c, name, space); });
}

// What the kernel takes for the capabilities of a file, or for none. Kernel counterpart:
// validheader().
bool is_capability(const Value& value) {
  uint32_t magic = 0;
  if (value.size == 0) return true;
  if (value.size < sizeof magic) return false;
  memcpy(&magic, value.data, sizeof magic);
  switch (magic & VFS_CAP_REVISION_MASK) {
    case VFS_CAP_REVISION_2:
      return value.size == XATTR_CAPS_SZ_2;
    case VFS_CAP_REVISION_3:
      return value.size == XATTR_CAPS_SZ_3;
    default:
      return false;
  }
}

Outcome set_value(Op& op, const Target& t, CStr name, const Value& value) {
  const Space space = space_of(name);
  if (space == Space::kAccessAcl || space == Space::kDefaultAcl) {
    const Acl acl(value.data, value.size);
    TRY(acl.check());
    if (acl.removes()) return remove_value(op, t, name);
  }
  if (name == Str(XATTR_NAME_CAPS) && !is_capability(value)) return Error(EINVAL);
  TRY(may_write(op, t, space));
  if (TRY(disk_name(op, *t.node, name, false)).data() == nullptr) return Error(EPERM);
  // Before anything is copied up for it.
  if (space == Space::kSecurity && !as_root(op, *t.node)) return Error(EPERM);
  return change(op, t, Data::kNone,
                [&](const Changing& c) { return apply_set(op, c, name, space, value); });
}

// --- the twelve calls ---

Result<Target> find_path(Op& op, UserPath path, bool follow) {
  return find(op, AT_FDCWD, path, follow ? unsigned{kFollow} : 0u);
}

// A path outside of the overlays, for a call that takes no descriptor. Follows nothing: the walk
// did.
Object outside_object(const Target& t) { return Object::at(t.outside); }

Result<Value> copy_in_value(Op& op, UserBuf user_value, size_t size, int flags) {
  Value value = {op.arena().alloc(size), size, flags};
  if (value.data == nullptr) return Error(ENOMEM);
  TRY(op.caller().copy_in(value.data, user_value.as<const void>(), size));
  return value;
}

Result<void> check_set(size_t size, int flags) {
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) != 0) return Error(EINVAL);
  if (size > XATTR_SIZE_MAX) return Error(E2BIG);
  return {};
}

Outcome set_found(Op& op, const Target& t, CStr name, UserBuf user_value, size_t size, int flags) {
  if (t.native) return Outcome::native();
  const Value value = TRY(copy_in_value(op, user_value, size, flags));
  if (t.is_outside()) return outside_object(t).set(name.c_str(), value.data, value.size, flags);
  return set_value(op, t, name, value);
}

Outcome set_at(Op& op, UserPath path, bool follow, UserPath user_name, UserBuf value, size_t size,
               int flags) {
  TRY(check_set(size, flags));
  const CStr name = TRY(copy_in_name(op, user_name));
  return on_target([&] { return find_path(op, path, follow); },
                   [&](const Target& t) { return set_found(op, t, name, value, size, flags); });
}

Outcome get_found(Op& op, const Target& t, CStr name, UserBuf out, size_t size) {
  if (t.native) return Outcome::native();
  if (!t.is_outside()) return give_value(op, t, name, out, size);
  if (size > XATTR_SIZE_MAX) size = XATTR_SIZE_MAX;
  void* value = op.arena().alloc(size);
  if (value == nullptr) return Error(ENOMEM);
  const size_t n = TRY(outside_object(t).get(name.c_str(), value, size));
  if (size != 0) TRY(op.caller().copy_out(out, value, n));
  return static_cast<long>(n);
}

Outcome get_at(Op& op, UserPath path, bool follow, UserPath user_name, UserBuf out, size_t size) {
  const CStr name = TRY(copy_in_name(op, user_name));
  return at_target(
      op, [&] { return find_path(op, path, follow); },
      [&](const Target& t) { return get_found(op, t, name, out, size); });
}

Outcome list_found(Op& op, const Target& t, UserBuf out, size_t size) {
  if (t.native) return Outcome::native();
  if (!t.is_outside()) return give_names(op, t, out, size);
  if (size > XATTR_LIST_MAX) size = XATTR_LIST_MAX;
  char* list = op.arena().array<char>(size);
  if (list == nullptr) return Error(ENOMEM);
  const size_t n = TRY(outside_object(t).list(list, size));
  if (size != 0) TRY(op.caller().copy_out(out, list, n));
  return static_cast<long>(n);
}

Outcome list_at(Op& op, UserPath path, bool follow, UserBuf out, size_t size) {
  return at_target(
      op, [&] { return find_path(op, path, follow); },
      [&](const Target& t) { return list_found(op, t, out, size); });
}

Outcome remove_found(Op& op, const Target& t, CStr name) {
  if (t.native) return Outcome::native();
  if (t.is_outside()) return outside_object(t).remove(name.c_str());
  return remove_value(op, t, name);
}

Outcome remove_at(Op& op, UserPath path, bool follow, UserPath user_name) {
  const CStr name = TRY(copy_in_name(op, user_name));
  return on_target([&] { return find_path(op, path, follow); },
                   [&](const Target& t) { return remove_found(op, t, name); });
}

}  // namespace

Outcome op_setxattr(Op& op, UserPath path, UserPath name, UserBuf value, size_t size, int flags) {
  return set_at(op, path, true, name, value, size, flags);
}
Outcome op_lsetxattr(Op& op, UserPath path, UserPath name, UserBuf value, size_t size, int flags) {
  return set_at(op, path, false, name, value, size, flags);
}
Outcome op_fsetxattr(Op& op, int fd, UserPath user_name, UserBuf value, size_t size, int flags) {
  TRY(check_set(size, flags));
  const CStr name = TRY(copy_in_name(op, user_name));
  return on_target([&] { return find_fd(op, fd, FdUse::kOpened); },
                   [&](const Target& t) { return set_found(op, t, name, value, size, flags); });
}

Outcome op_getxattr(Op& op, UserPath path, UserPath name, UserBuf out, size_t size) {
  return get_at(op, path, true, name, out, size);
}
Outcome op_lgetxattr(Op& op, UserPath path, UserPath name, UserBuf out, size_t size) {
  return get_at(op, path, false, name, out, size);
}
Outcome op_fgetxattr(Op& op, int fd, UserPath user_name, UserBuf out, size_t size) {
  const CStr name = TRY(copy_in_name(op, user_name));
  return get_found(op, TRY(find_fd(op, fd, FdUse::kOpened)), name, out, size);
}

Outcome op_listxattr(Op& op, UserPath path, UserBuf out, size_t size) {
  return list_at(op, path, true, out, size);
}
Outcome op_llistxattr(Op& op, UserPath path, UserBuf out, size_t size) {
  return list_at(op, path, false, out, size);
}
Outcome op_flistxattr(Op& op, int fd, UserBuf out, size_t size) {
  return list_found(op, TRY(find_fd(op, fd, FdUse::kOpened)), out, size);
}

Outcome op_removexattr(Op& op, UserPath path, UserPath name) {
  return remove_at(op, path, true, name);
}
Outcome op_lremovexattr(Op& op, UserPath path, UserPath name) {
  return remove_at(op, path, false, name);
}
Outcome op_fremovexattr(Op& op, int fd, UserPath user_name) {
  const CStr name = TRY(copy_in_name(op, user_name));
  return on_target([&] { return find_fd(op, fd, FdUse::kOpened); },
                   [&](const Target& t) { return remove_found(op, t, name); });
}

}  // namespace ovl
