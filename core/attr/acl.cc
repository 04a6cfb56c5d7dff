// See acl.h.
#include "core/attr/acl.h"

#include <errno.h>
#include <string.h>

namespace ovl {
namespace {

constexpr uint32_t kVersion = 2;
constexpr uint16_t kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32;

}  // namespace

Acl::Entry Acl::entry(size_t i) const {  // little-endian, as this machine
  Entry e;
  memcpy(&e, value_ + 4 + i * sizeof e, sizeof e);
  return e;
}

size_t Acl::find(uint16_t tag) const {
  size_t i = 0;
  while (i < count() && entry(i).tag != tag) i++;
  return i;
}

Result<void> Acl::check() const {
  if (size_ == 0) return {};
  if (size_ < 4) return Error(EINVAL);
  uint32_t version;
  memcpy(&version, value_, sizeof version);
  if (version != kVersion) return Error(EOPNOTSUPP);
  if ((size_ - 4) % 8 != 0) return Error(EINVAL);
  for (size_t i = 0; i < count(); i++) {
    const uint16_t tag = entry(i).tag;
    if (tag == 0 || (tag & (tag - 1)) != 0 || tag > kOther) return Error(EINVAL);
  }
  return {};
}

bool Acl::valid() const {
  return size_ != 0 && check().ok() && find(kUserObj) < count() && find(kGroupObj) < count() &&
         find(kOther) < count();
}

mode_t Acl::mode() const {
  const size_t mask = find(kMask);
  const mode_t group = entry(mask < count() ? mask : find(kGroupObj)).permission & 7;
  return static_cast<mode_t>((entry(find(kUserObj)).permission & 7) << 6 | group << 3 |
                             (entry(find(kOther)).permission & 7));
}

void Acl::set_owner(mode_t permission) {
  const auto value = static_cast<uint16_t>(permission & 7);
  memcpy(value_ + 4 + find(kUserObj) * sizeof(Entry) + 2, &value, sizeof value);
}

bool Acl::grants(Caller& caller, const Credentials& who, gid_t owning_group, int mask) const {
  const size_t mask_at = find(kMask);
  const int limit = mask_at < count() ? entry(mask_at).permission : 7;
  bool member = false;  // of a group that the list names: "other" counts no more
  for (size_t i = 0; i < count(); i++) {
    const Entry e = entry(i);
    if (e.tag == kUser && e.id == who.fsuid) return (e.permission & limit & mask) == mask;
    if (e.tag != kGroupObj && e.tag != kGroup) continue;
    if (!caller.in_group(e.tag == kGroup ? e.id : owning_group)) continue;
    member = true;
    if ((e.permission & mask) == mask) return (limit & mask) == mask;
  }
  if (member) return false;
  return (entry(find(kOther)).permission & mask) == mask;
}

}  // namespace ovl
