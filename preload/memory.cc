// The memory and string functions that the core and this folder use, as our own hidden symbols. The
// program's may be somebody else's: a sanitizer's runtime would see races in memory whose
// synchronisation it doesn't see, and check before it has started.
#include <stddef.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// Hot: each program's start runs some, beside what it runs of core/session.
#define OVL_OWN extern "C" __attribute__((visibility("hidden"), hot))

namespace {

struct Bytes16 {
  uint64_t low, high;
};

template <class T>
inline T load(const void* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}
template <class T>
inline void store(void* p, T value) {
  __builtin_memcpy(p, &value, sizeof value);
}

// Both ends as words, which may overlap: everything is read before anything is written.
template <class T>
inline void copy_ends(char* to, const char* from, size_t n) {
  const T first = load<T>(from), last = load<T>(from + n - sizeof(T));
  store(to, first);
  store(to + n - sizeof(T), last);
}

// Requires: n < 32.
inline void copy_small(char* to, const char* from, size_t n) {
  if (n >= 16) return copy_ends<Bytes16>(to, from, n);
  if (n >= 8) return copy_ends<uint64_t>(to, from, n);
  if (n >= 4) return copy_ends<uint32_t>(to, from, n);
  if (n >= 2) return copy_ends<uint16_t>(to, from, n);
  if (n == 1) *to = *from;
}

inline void copy_forward(char* to, const char* from, size_t n) {
#if defined(__x86_64__)
  if (n >= 1024) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return;
  }
#endif
  for (; n >= 32; n -= 16, to += 16, from += 16) store(to, load<Bytes16>(from));
  copy_small(to, from, n);
}

}  // namespace

OVL_OWN void* memcpy(void* to, const void* from, size_t n) {
  if (n < 32)
    copy_small(static_cast<char*>(to), static_cast<const char*>(from), n);
  else
    copy_forward(static_cast<char*>(to), static_cast<const char*>(from), n);
  return to;
}

OVL_OWN void* memmove(void* to, const void* from, size_t n) {
  char* d = static_cast<char*>(to);
  const char* s = static_cast<const char*>(from);
  if (n < 32) {
    copy_small(d, s, n);
  } else if (reinterpret_cast<uintptr_t>(d) - reinterpret_cast<uintptr_t>(s) >= n) {
    // To a lower address, or no overlap.
    copy_forward(d, s, n);
  } else {
    for (; n >= 32; n -= 16) store(d + n - 16, load<Bytes16>(s + n - 16));
    copy_small(d, s, n);
  }
  return to;
}

OVL_OWN void* memset(void* to, int byte, size_t n) {
  char* d = static_cast<char*>(to);
#if defined(__x86_64__)
  if (n >= 64) {
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(byte) : "memory");
    return to;
  }
#endif
  const uint64_t word = 0x0101010101010101u * static_cast<unsigned char>(byte);
  for (; n >= 8; n -= 8, d += 8) store(d, word);
  for (; n > 0; n--) *d++ = static_cast<char>(byte);
  return to;
}

OVL_OWN int memcmp(const void* a, const void* b, size_t n) {
  const unsigned char* x = static_cast<const unsigned char*>(a);
  const unsigned char* y = static_cast<const unsigned char*>(b);
  for (; n >= 8 && load<uint64_t>(x) == load<uint64_t>(y); n -= 8, x += 8, y += 8) {
  }
  for (; n > 0; n--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

// (The blocks may begin and end beside the text, in the same page: no business of ASan's, where a
// test has it.)
OVL_OWN __attribute__((no_sanitize("address"))) size_t strnlen(const char* text, size_t most) {
  size_t n = 0;
#if defined(__SSE2__)
  // Up to an aligned address, then in aligned blocks: these never reach into a page that the text
  // doesn't.
  for (; n < most && reinterpret_cast<uintptr_t>(text + n) % 16 != 0; n++)
    if (text[n] == 0) return n;
  const __m128i zero = _mm_setzero_si128();
  for (; n < most; n += 16) {
    const __m128i block = _mm_load_si128(reinterpret_cast<const __m128i*>(text + n));
    const unsigned found = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, zero)));
    if (found == 0) continue;
    n += static_cast<size_t>(__builtin_ctz(found));
    break;
  }
  return n < most ? n : most;
#else
  while (n < most && text[n] != 0) n++;
  return n;
#endif
}

// What clang makes of a memcmp that asks for equality alone.
OVL_OWN int bcmp(const void* a, const void* b, size_t n) { return memcmp(a, b, n); }

OVL_OWN size_t strlen(const char* text) { return strnlen(text, SIZE_MAX); }

OVL_OWN char* strchr(const char* text, int c) {
  for (;; text++) {
    if (*text == static_cast<char>(c)) return const_cast<char*>(text);
    if (*text == 0) return nullptr;
  }
}

OVL_OWN char* strrchr(const char* text, int c) {
  const char* last = nullptr;
  for (;; text++) {
    if (*text == static_cast<char>(c)) last = text;
    if (*text == 0) return const_cast<char*>(last);
  }
}

OVL_OWN char* strstr(const char* text, const char* wanted) {
  const size_t size = strlen(wanted);
  for (;; text++) {
    if (strnlen(text, size) < size) return nullptr;
    if (memcmp(text, wanted, size) == 0) return const_cast<char*>(text);
  }
}
