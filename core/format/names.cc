// Names of private xattrs, and how names that programs use map to names on disk.
// Kernel counterpart: ovl_xattr_table, ovl_xattr_escape_name(), ovl_is_private_xattr(),
// ovl_can_list().
#include "core/format/format.h"

namespace ovl {
namespace {

#define OVL_PREFIXED(prefix)                                                                    \
  {                                                                                             \
    prefix "opaque", prefix "redirect", prefix "origin", prefix "impure", prefix "nlink",       \
        prefix "upper", prefix "uuid", prefix "metacopy", prefix "protattr", prefix "whiteout", \
        "user.containers.override_stat",                                                        \
  }
// Rows: XattrPrefix. Columns: Priv.
constexpr const char* kNames[2][static_cast<size_t>(Priv::kCount)] = {
    OVL_PREFIXED("user.overlay."), OVL_PREFIXED("trusted.overlay.")};
#undef OVL_PREFIXED

constexpr Str kPrefixes[2] = {"user.overlay.", "trusted.overlay."};
// What an escaped name has after the prefix, once per level of nesting.
constexpr Str kEscape = "overlay.";
// What containers' tools record about a file stands below this, whatever the overlay's prefix.
constexpr Str kOverride = "user.containers.override_";
constexpr Str kSecurity = "security.";

Str prefix_of(XattrPrefix prefix) { return kPrefixes[static_cast<size_t>(prefix)]; }

}  // namespace

const char* priv_name(XattrPrefix prefix, Priv which) {
  return kNames[static_cast<size_t>(prefix)][static_cast<size_t>(which)];
}

PrivSet parse_xattr_list(XattrPrefix prefix, const char* list, size_t size) {
  PrivSet found;
  const Str all(list, size);
  const Str ours = prefix_of(prefix);
  for (size_t at = 0; at < size;) {
    size_t end = all.find('\0', at);
    if (end == SIZE_MAX) end = size;
    const Str name = all.sub(at, end - at);
    at = end + 1;
    // Most objects have none of ours, but perhaps security.* or ACLs: two comparisons rule those
    // out.
    if (!name.starts_with(ours) && !name.starts_with(kOverride)) continue;
    for (uint32_t i = 0; i < static_cast<uint32_t>(Priv::kCount); i++)
      if (name == Str(priv_name(prefix, static_cast<Priv>(i)))) found.add(static_cast<Priv>(i));
  }
  return found;
}

NameClass name_to_disk(Arena& arena, XattrPrefix prefix, Str name, bool store_security, CStr* out) {
  const Str ours = prefix_of(prefix);
  if (name.starts_with(ours)) {
    *out = arena.concat(ours, kEscape, name.sub(ours.size()));
    return NameClass::kStored;
  }
  if (name.starts_with(kOverride)) return NameClass::kHidden;
  if (store_security && name.starts_with(kSecurity)) {
    *out = arena.concat(kOverride, name);
    return NameClass::kStored;
  }
  return NameClass::kPlain;
}

NameClass name_from_disk(Arena& arena, XattrPrefix prefix, Str name, CStr* out) {
  const Str ours = prefix_of(prefix);
  if (name.starts_with(ours)) {
    const Str rest = name.sub(ours.size());
    if (!rest.starts_with(kEscape)) return NameClass::kHidden;
    *out = arena.concat(ours, rest.sub(kEscape.size()));
    return NameClass::kStored;
  }
  if (name.starts_with(kOverride)) {
    const Str rest = name.sub(kOverride.size());
    if (!rest.starts_with(kSecurity)) return NameClass::kHidden;
    *out = arena.dup(rest);
    return NameClass::kStored;
  }
  return NameClass::kPlain;
}

}  // namespace ovl
