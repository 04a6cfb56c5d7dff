// Numbers in xattr values and in what procfs tells: no sign, no blanks, at least one digit.
#pragma once

#include <stdint.h>

#include "core/base/str.h"

namespace ovl {

// No overflow. Reads digits of `base` (8 or 10) from *text and drops them from it. False: no digit,
// or more than `limit`.
inline bool take_number(Str* text, uint32_t base, uint64_t limit, uint64_t* out) {
  uint64_t value = 0;
  size_t n = 0;
  for (; n < text->size(); n++) {
    const auto digit = static_cast<uint32_t>(static_cast<unsigned char>((*text)[n]) - '0');
    if (digit >= base) break;
    value = value * base + digit;
    if (value > limit) return false;
  }
  if (n == 0) return false;
  *text = text->sub(n);
  *out = value;
  return true;
}

// Drops `c` from the front of *text. False: it doesn't stand there.
inline bool take(Str* text, char c) {
  if (text->empty() || (*text)[0] != c) return false;
  *text = text->sub(1);
  return true;
}

// Writes `value` at out, in base 16 at most, with at least `width` digits; returns the number of
// bytes.
inline size_t put_number(char* out, uint64_t value, uint32_t base, size_t width) {
  char digits[24];
  size_t n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0 || n < width);
  for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
  return n;
}

}  // namespace ovl
