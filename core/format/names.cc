// Names of private xattrs, and how names that programs use map to names on disk.
// Kernel counterpart: ovl_xattr_table, ovl_xattr_escape_name(), ovl_is_private_xattr(),
// ovl_can_list().
#include "core/format/format.h"

namespace ovl {
namespace {

constexpr Str kPrefixes[kXattrPrefixes] = {"user.overlay.", "trusted.overlay."};
// What an escaped name has after the prefix, once per level of nesting.
constexpr Str kEscape = "overlay.";
// What containers' tools record about a file stands below this, whatever the overlay's prefix.
constexpr Str kOverride = "user.containers.override_";
constexpr char kOverrideName[] = "user.containers.override_stat";
constexpr char kFuseOpaqueName[] = "user.fuseoverlayfs.opaque";
constexpr Str kSecurity = "security.";

// By Priv; the last ones have no prefix.
constexpr uint32_t kMarks = static_cast<uint32_t>(Priv::kOverrideStat);
constexpr Str kMarkNames[kMarks] = {"opaque",   "redirect", "origin",        "impure",
                                    "nlink",    "upper",    "uuid",          "metacopy",
                                    "protattr", "whiteout", "ovlrun.filling"};

// Bytes rather than pointers: those would have to be relocated in every process.
struct Names {
  char text[kXattrPrefixes][kMaxNesting][kMarks][88];
};

constexpr char* append(char* to, Str text) {
  for (size_t i = 0; i < text.size(); i++) *to++ = text[i];
  return to;
}

constexpr Names make_names() {
  Names names{};
  for (uint32_t prefix = 0; prefix < kXattrPrefixes; prefix++)
    for (uint32_t depth = 0; depth < kMaxNesting; depth++)
      for (uint32_t mark = 0; mark < kMarks; mark++) {
        char* to = append(names.text[prefix][depth][mark], kPrefixes[prefix]);
        for (uint32_t i = 0; i < depth; i++) to = append(to, kEscape);
        append(to, kMarkNames[mark]);
      }
  return names;
}

constexpr Names kNames = make_names();

// Cuts up to `most` escapes off the front of *rest; returns how many.
uint32_t take_escapes(Str* rest, uint32_t most) {
  uint32_t n = 0;
  for (; n < most && rest->starts_with(kEscape); n++) *rest = rest->sub(kEscape.size());
  return n;
}

// Which overlays' prefix does the name have? False: none's.
bool find_prefix(Str name, XattrPrefix* out) {
  for (uint32_t i = 0; i < kXattrPrefixes; i++) {
    if (!name.starts_with(kPrefixes[i])) continue;
    *out = static_cast<XattrPrefix>(i);
    return true;
  }
  return false;
}

Str prefix_of(XattrPrefix prefix) { return kPrefixes[static_cast<size_t>(prefix)]; }

}  // namespace

const char* priv_name(XattrFormat format, Priv which) {
  if (which == Priv::kOverrideStat) return kOverrideName;
  if (which == Priv::kFuseOpaque) return kFuseOpaqueName;
  return kNames
      .text[static_cast<uint32_t>(format.prefix)][format.depth][static_cast<uint32_t>(which)];
}

PrivSet parse_xattr_list(XattrFormat format, const char* list, size_t size) {
  PrivSet found;
  const Str all(list, size);
  const Str ours = prefix_of(format.prefix);
  for (size_t at = 0; at < size;) {
    size_t end = all.find('\0', at);
    if (end == SIZE_MAX) end = size;
    const Str name = all.sub(at, end - at);
    at = end + 1;
    if (name.starts_with(ours)) {
      Str rest = name.sub(ours.size());
      if (take_escapes(&rest, format.depth) < format.depth) continue;
      for (uint32_t i = 0; i < kMarks; i++)
        if (rest == kMarkNames[i]) found.add(static_cast<Priv>(i));
    } else if (name == Str(kOverrideName)) {
      found.add(Priv::kOverrideStat);
    } else if (name == Str(kFuseOpaqueName)) {
      found.add(Priv::kFuseOpaque);
    }
  }
  return found;
}

NameClass name_to_disk(Arena& arena, XattrFormat format, Str name, bool store_security, CStr* out) {
  XattrPrefix prefix;
  if (find_prefix(name, &prefix)) {
    const Str ours = prefix_of(prefix);
    const uint32_t escapes = format.escapes_of(prefix);
    if (escapes == 0) return NameClass::kPlain;
    *out = arena.dup(name.sub(ours.size()));
    for (uint32_t i = 0; i < escapes && out->data() != nullptr; i++)
      *out = arena.concat(kEscape, *out);
    if (out->data() != nullptr) *out = arena.concat(ours, *out);
    return NameClass::kStored;
  }
  if (name.starts_with(kOverride) || name == Str(kFuseOpaqueName)) return NameClass::kHidden;
  if (store_security && name.starts_with(kSecurity)) {
    *out = arena.concat(kOverride, name);
    return NameClass::kStored;
  }
  return NameClass::kPlain;
}

NameClass name_from_disk(Arena& arena, XattrFormat format, Str name, CStr* out) {
  XattrPrefix prefix;
  if (find_prefix(name, &prefix)) {
    const uint32_t escapes = format.escapes_of(prefix);
    if (escapes == 0) return NameClass::kPlain;
    Str rest = name.sub(prefix_of(prefix).size());
    if (take_escapes(&rest, escapes) < escapes) return NameClass::kHidden;
    *out = arena.concat(prefix_of(prefix), rest);
    return NameClass::kStored;
  }
  if (name.starts_with(kOverride)) {
    const Str rest = name.sub(kOverride.size());
    if (!rest.starts_with(kSecurity)) return NameClass::kHidden;
    *out = arena.dup(rest);
    return NameClass::kStored;
  }
  return name == Str(kFuseOpaqueName) ? NameClass::kHidden : NameClass::kPlain;
}

}  // namespace ovl
