// Who may do what. --perm=owner: everybody stands in the owner's place; root goes past everything
// but what no owner can do;
// --perm=posix: the kernel's rules with the owner and mode that programs see.
// Kernel counterpart: generic_permission(), check_sticky(), setattr_prepare().
#include "core/attr/acl.h"
#include "core/attr/attr.h"

namespace ovl {
namespace {

constexpr int kExec = 1, kWrite = 2;  // X_OK, W_OK

// CAP_DAC_OVERRIDE: everything but executing a file that nobody may execute.
bool root_may(const Node& node, int mask) {
  return (mask & kExec) == 0 || node.is_dir() || (node.mode & 0111) != 0;
}

bool bits_allow(mode_t mode, int shift, int mask) {
  return (static_cast<int>(mode >> shift) & 7 & mask) == mask;
}

// EACCES is false.
bool posix_may(Op& op, const Node& node, const Object& top, const Credentials& who, int mask) {
  if (who.fsuid == node.uid) return bits_allow(node.mode, 6, mask);
  // The group bits are the list's mask: nobody but owner and other has any right when they are
  // empty.
  if ((node.mode & S_IRWXG) != 0 && !node.is_symlink()) {
    void* value = op.arena().alloc(kAclMax);
    Result<size_t> n =
        value == nullptr ? Result<size_t>(Error(ENOMEM)) : top.get(kAccessAcl, value, kAclMax);
    if (n.ok()) {
      Acl acl(value, n.value());
      if (acl.valid()) return acl.grants(op.caller(), who, node.gid, mask);
    }
  }
  return bits_allow(node.mode, op.caller().in_group(node.gid) ? 3 : 0, mask);
}

}  // namespace

Result<void> may(Op& op, const Node& node, const Object& top, int mask) {
  mask &= 7;
  if ((mask & kWrite) != 0 && flags_of(node, top).immutable) return Error(EPERM);
  // The owner's own bits decide most cases without asking who it is.
  if (node.overlay->perm == Perm::kOwner && bits_allow(node.mode, 6, mask)) return {};
  const Credentials who = op.caller().credentials();
  if (who.override_dac) {
    if (root_may(node, mask)) return {};
    return Error(EACCES);
  }
  if (node.overlay->perm == Perm::kPosix && posix_may(op, node, top, who, mask)) return {};
  return Error(EACCES);
}

char protection_setting(Op& op, Str what) {
  char value = '0';
  const CStr path = op.arena().concat("/proc/sys/fs/protected_", what);
  if (path.data() == nullptr) return value;
  const Result<UniqueFd> setting = sys_openat(path, O_RDONLY);
  if (setting.ok()) ignore(sys_read(setting.value().get(), &value, 1));
  return value;
}

Result<void> may_remove(Op& op, const Node& dir, const Node& node) {
  TRY(may_change_names(op, dir));
  if (flags_of(dir).append) return Error(EPERM);
  const Flags flags = flags_of(node);
  if (flags.immutable || flags.append) return Error(EPERM);
  if ((dir.mode & S_ISVTX) == 0 || dir.overlay->perm == Perm::kOwner) return {};
  const Credentials who = op.caller().credentials();
  if (who.override_dac || who.fsuid == node.uid || who.fsuid == dir.uid) return {};
  return Error(EPERM);
}

Result<void> may_own(Op& op, const Node& node, const Object& top) {
  const Flags flags = flags_of(node, top);
  if (flags.immutable || flags.append) return Error(EPERM);
  if (node.overlay->perm == Perm::kOwner) return {};
  const Credentials who = op.caller().credentials();
  if (who.override_dac || who.fsuid == node.uid) return {};
  return Error(EPERM);
}

}  // namespace ovl
