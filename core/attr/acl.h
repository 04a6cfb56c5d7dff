// POSIX access control lists as their xattr carries them (linux/posix_acl_xattr.h). Pure: no system
// calls. Kernel counterpart: fs/posix_acl.c.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/result.h"
#include "core/base/str.h"
#include "core/caller/caller.h"

namespace ovl {

inline constexpr const char kAccessAcl[] = "system.posix_acl_access";
inline constexpr const char kCapability[] = "security.capability";
inline constexpr const char kDefaultAcl[] = "system.posix_acl_default";
// Enough for 500 entries; the file systems' own limits are lower (ext4: one block).
constexpr size_t kAclMax = 4096;

class Acl {
 public:
  // Over the bytes of an xattr's value, which must outlive this.
  Acl(void* value, size_t size) : value_(static_cast<unsigned char*>(value)), size_(size) {}

  // What setxattr(2) refuses whatever the object is: EINVAL, EOPNOTSUPP. No bytes, or no entries:
  // the list is to be removed. Kernel counterpart: posix_acl_from_xattr().
  Result<void> check() const;
  bool removes() const { return size_ == 0 || count() == 0; }

  // Version and size right, and the three entries that every list has are there?
  bool valid() const;

  // The permission bits that a mode has for this list: owner, mask or group, other. Requires
  // valid().
  mode_t mode() const;
  void set_owner(mode_t permission);

  // Does the list grant `mask` to somebody who isn't the owner? Requires valid(). Kernel
  // counterpart: posix_acl_permission().
  bool grants(Caller& caller, const Credentials& who, gid_t owning_group, int mask) const;

 private:
  struct Entry {
    uint16_t tag, permission;
    uint32_t id;
  };
  size_t count() const { return (size_ - 4) / 8; }
  Entry entry(size_t i) const;
  // Index of the first entry with this tag; count() when there is none.
  size_t find(uint16_t tag) const;

  unsigned char* value_;
  size_t size_;
};

}  // namespace ovl
