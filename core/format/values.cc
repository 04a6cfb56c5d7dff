// Values of the short private xattrs: opaque, redirect, metacopy, nlink.
// Kernel counterpart: ovl_get_opaquedir_val(), ovl_get_redirect_xattr(),
// ovl_check_metacopy_xattr(), ovl_get_nlink().
#include "core/format/format.h"
#include "core/format/numbers.h"

namespace ovl {

Opaque decode_opaque(const char* value, size_t size) {
  // The kernel reads into one byte: a longer value is "not opaque", not an error.
  if (size != 1) return Opaque::kNo;
  switch (value[0]) {
    case 'y':
      return Opaque::kOpaque;
    case 'x':
      return Opaque::kHasXattrWhiteouts;
    default:
      return Opaque::kNo;
  }
}

Result<void> check_redirect(Str value) {
  if (value.find('\0') != SIZE_MAX) return Error(EINVAL);
  const bool absolute = !value.empty() && value[0] == '/';
  Str rest = absolute ? value.sub(1) : value;
  for (;;) {
    const size_t slash = rest.find('/');
    if (slash != SIZE_MAX && !absolute) return Error(EINVAL);
    const Str part = rest.sub(0, slash);
    // The kernel looks "." and ".." up as names, where they find nothing; here they would lead out
    // of the layer.
    if (part.empty() || part == Str(".") || part == Str("..")) return Error(EINVAL);
    if (slash == SIZE_MAX) return {};
    rest = rest.sub(slash + 1);
  }
}

// struct ovl_metacopy: u8 version, len, flags, digest_algo; digest[64].
Result<void> decode_metacopy(const void* value, size_t size) {
  constexpr size_t kMin = 4, kMax = 4 + 64;
  if (size == 0) return {};
  if (size < kMin || size > kMax) return Error(EIO);
  const auto* bytes = static_cast<const uint8_t*>(value);
  if (bytes[0] != 0 || bytes[1] != size) return Error(EIO);
  return {};
}

// Little-endian: two times of 8 and 4 bytes, 8 of size, one of bits.
void encode_filling(const Filling& filling, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  for (const Filling::Time* time : {&filling.accessed, &filling.changed}) {
    memcpy(to, &time->seconds, 8);
    memcpy(to + 8, &time->nanoseconds, 4);
    to += 12;
  }
  memcpy(to, &filling.size, 8);
  to[8] =
      static_cast<uint8_t>((filling.mode_recorded ? 1 : 0) | (filling.capability_stored ? 2 : 0));
}

Result<void> decode_filling(const void* value, size_t size, Filling* out) {
  if (size != kFillingSize) return Error(EIO);
  const auto* from = static_cast<const uint8_t*>(value);
  for (Filling::Time* time : {&out->accessed, &out->changed}) {
    memcpy(&time->seconds, from, 8);
    memcpy(&time->nanoseconds, from + 8, 4);
    if (time->nanoseconds >= 1'000'000'000) return Error(EIO);
    from += 12;
  }
  memcpy(&out->size, from, 8);
  if (out->size > INT64_MAX || from[8] > 3) return Error(EIO);
  out->mode_recorded = (from[8] & 1) != 0;
  out->capability_stored = (from[8] & 2) != 0;
  return {};
}

Result<uint32_t> decode_nlink(Str value, uint32_t upper_nlink, uint32_t lower_nlink) {
  if (value.size() < 3 || (value[0] != 'U' && value[0] != 'L')) return Error(EIO);
  int64_t nlink = value[0] == 'U' ? upper_nlink : lower_nlink;
  const char sign = value[1];
  Str digits = value.sub(2);
  uint64_t difference;
  if (!take_number(&digits, 10, INT32_MAX, &difference) || !digits.empty()) return Error(EIO);
  if (sign == '+')
    nlink += static_cast<int64_t>(difference);
  else if (sign == '-')
    nlink -= static_cast<int64_t>(difference);
  else
    return Error(EIO);
  if (nlink <= 0 || nlink > UINT32_MAX) return Error(EIO);
  return static_cast<uint32_t>(nlink);
}

size_t encode_nlink(NlinkBase base, uint32_t nlink, uint32_t real, char* out) {
  const bool less = nlink < real;
  out[0] = static_cast<char>(base);
  out[1] = less ? '-' : '+';
  return 2 + put_number(out + 2, less ? real - nlink : nlink - real, 10, 1);
}

}  // namespace ovl
