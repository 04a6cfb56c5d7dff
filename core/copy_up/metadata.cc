// See metadata.h. The order is bound: an ACL sets permission bits, so the mode comes after it;
// chown(2) drops file capabilities, so security.* comes after the owner.
#include "core/copy_up/metadata.h"

#include "core/attr/attr.h"
#include "core/copy_up/marks.h"

namespace ovl {
namespace {

constexpr size_t kListGuess = 1024;
constexpr size_t kValueGuess = 1024;
constexpr size_t kXattrMost = 65536;  // XATTR_LIST_MAX, XATTR_SIZE_MAX

constexpr Str kSecurity("security.");
constexpr Str kTrusted("trusted.");
constexpr Str kAcl("system.posix_acl_");
// Labels and digests that security modules give each inode themselves: the kernel's overlayfs
// leaves them out too.
constexpr Str kOfTheInode[] = {"security.selinux", "security.SMACK64", "security.apparmor",
                               "security.ima", "security.evm"};

bool belongs_to_inode(Str name) {
  for (Str label : kOfTheInode)
    if (name == label) return true;
  return false;
}

class XattrCopy {
 public:
  XattrCopy(Op& op, const Node& node, CStr to)
      : op_(op),
        from_format_(node.lowers[0].layer->format),
        to_format_(node.overlay->format),
        from_(node.lowers[0].path),
        to_(to) {}

  Result<void> read_list() {
    size_t size = kListGuess;
    for (;;) {
      list_ = op_.arena().array<char>(size);
      if (list_ == nullptr) return Error(ENOMEM);
      Result<size_t> n = sys_llistxattr(from_, list_, size);
      if (n.ok()) {
        size_ = n.value();
        return {};
      }
      if (n.error() == EOPNOTSUPP) return {};
      if (n.error() != ERANGE || size == kXattrMost) return Error(n.error());
      size = kXattrMost;
    }
  }

  enum class Kind : uint8_t { kOfAcls, kOfSecurity, kOther };
  // All of a kind.
  Result<void> run(Kind kind) {
    for (size_t at = 0; at < size_;) {
      const CStr name(list_ + at, strlen(list_ + at));
      at += name.size() + 1;
      if (kind_of(name) == kind) TRY(one(name));
    }
    return {};
  }
  bool has_acl() const { return has_acl_; }

 private:
  static Kind kind_of(Str name) {
    return name.starts_with(kAcl)        ? Kind::kOfAcls
           : name.starts_with(kSecurity) ? Kind::kOfSecurity
                                         : Kind::kOther;
  }

  Result<void> one(CStr name) {
    if (belongs_to_inode(name)) return {};
    CStr to_name;
    if (!TRY(new_name(name, &to_name))) return {};
    Str value;
    if (!TRY(read(name, &value))) return {};
    Result<void> r = sys_lsetxattr(to_, to_name.c_str(), value.data(), value.size());
    has_acl_ = has_acl_ || name.starts_with(kAcl);
    if (r.ok()) return {};
    if (name.starts_with(kSecurity)) return record_security(name, value, r.error());
    if (name.starts_with(kTrusted)) return ignore_if(r, EPERM);
    if (name.starts_with(kAcl)) return r;
    return ignore_if(r, EOPNOTSUPP);
  }

  // The name that it has in the upper. False: it is not copied.
  Result<bool> new_name(CStr name, CStr* out) {
    CStr shown = name;
    if (name_from_disk(op_.arena(), from_format_, name, &shown) == NameClass::kHidden) return false;
    *out = name;
    CStr stored;
    if (name_to_disk(op_.arena(), to_format_, shown, false, &stored) == NameClass::kStored)
      *out = stored;
    if (shown.data() == nullptr || out->data() == nullptr) return Error(ENOMEM);
    return true;
  }

  // False: gone meanwhile, or not for this user to read.
  Result<bool> read(CStr name, Str* out) {
    if (value_ == nullptr) {
      value_size_ = kValueGuess;
      value_ = op_.arena().array<char>(value_size_);
    }
    for (;;) {
      if (value_ == nullptr) return Error(ENOMEM);
      Result<size_t> n = sys_lgetxattr(from_, name.c_str(), value_, value_size_);
      if (n.ok()) {
        *out = Str(value_, n.value());
        return true;
      }
      if (n.error() == ENODATA || n.error() == EOPNOTSUPP) return false;
      if (n.error() == EPERM && !name.starts_with(kAcl)) return false;
      if (n.error() != ERANGE || value_size_ == kXattrMost) return Error(n.error());
      value_size_ = kXattrMost;
      value_ = op_.arena().array<char>(value_size_);
    }
  }

  // What the user can't really set is kept where container tools keep it; objects without user.* go
  // without.
  Result<void> record_security(CStr name, Str value, int error) {
    if (error != EPERM && error != EOPNOTSUPP && error != EINVAL) return Error(error);
    CStr stored;
    if (name_to_disk(op_.arena(), to_format_, name, true, &stored) != NameClass::kStored) return {};
    Result<void> r = sys_lsetxattr(to_, stored.c_str(), value.data(), value.size());
    return ignore_if(ignore_if(r, EPERM), EOPNOTSUPP);
  }

  Op& op_;
  const XattrFormat from_format_, to_format_;
  const CStr from_, to_;
  char* list_ = nullptr;
  size_t size_ = 0;
  char* value_ = nullptr;
  size_t value_size_ = 0;
  bool has_acl_ = false;
};

// A umask may have taken away what is needed to write xattrs.
Result<void> make_writable(CStr real, StatX* now) {
  const mode_t needed = S_ISDIR(now->stx_mode) ? 0700 : S_ISREG(now->stx_mode) ? 0600 : 0;
  if ((now->stx_mode & needed) == needed) return {};
  TRY(sys_chmod(real, needed));
  return sys_lstat(real, now);
}

// An append-only or immutable lower file: the flags are kept beside the copy, since real ones would
// keep us from changing it too.
Result<void> keep_flags(Op& op, const Node& node, CStr to) {
  const Flags flags = flags_of(node);
  if (!flags.append && !flags.immutable) return {};
  if (!node.is_regular() && !node.is_dir()) return {};
  char letters[2];
  size_t n = 0;
  if (flags.append) letters[n++] = 'a';
  if (flags.immutable) letters[n++] = 'i';
  return set_mark(op, *node.overlay, to, Priv::kProtattr, Str(letters, n));
}

}  // namespace

Result<void> copy_metadata(Op& op, const Node& node, CStr to) {
  StatX now;
  TRY(sys_lstat(to, &now));
  TRY(make_writable(to, &now));
  XattrCopy xattrs(op, node, to);
  TRY(xattrs.read_list());
  // An ACL may take from us what the others need.
  TRY(xattrs.run(XattrCopy::Kind::kOther));
  TRY(xattrs.run(XattrCopy::Kind::kOfAcls));
  TRY(keep_flags(op, node, to));
  if (xattrs.has_acl()) TRY(sys_lstat(to, &now));
  const Shown shown = {node.uid, node.gid, node.mode, node.rdev_major, node.rdev_minor};
  TRY(set_shown(op, *node.overlay, Object::at(to), now, shown, Recorded::kNo));
  return xattrs.run(XattrCopy::Kind::kOfSecurity);
}

}  // namespace ovl
