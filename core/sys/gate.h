// The gate: every raw system call of the core leaves from one code page, so that a seccomp filter
// can tell the core's own calls from the program's. Architecture-dependent code stands in
// gate_<arch>.S alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ovl {

// Where a program below ovlrun has the gate page: the launcher's filter lets calls from there pass.
// Away from the ranges of sanitizers' shadows, of Go's and Java's heaps, and of what the kernel
// gives out by itself below the stack.
constexpr uintptr_t kGateAddress = 0x7e9000000000;
constexpr size_t kGateSize = 4096;

extern "C" {
// One system call; returns what the kernel returns (-errno on failure). Touches no errno, no TLS.
long ovl_gate_call(long number, long a0, long a1, long a2, long a3, long a4, long a5);
// The page that holds the code above (one page, nothing else in it).
extern const char ovl_gate_page[];
// The same from elsewhere: for calls that no filter stops, before the gate is fixed. (What has been
// run of the page until then would have to be mapped again behind that.)
long ovl_plain_call(long number, long a0, long a1, long a2, long a3, long a4, long a5);
}

// From the page in this object to the one at kGateAddress, once fix_gate() has put it there.
extern uintptr_t gate_shift;

// Maps the gate page at kGateAddress as well, and makes all calls leave from there. False: it can't
// be had (something of the program's is there). Requires: no other thread makes calls meanwhile.
// Async-signal-safe.
bool fix_gate();

inline long gate_call(long number, long a0, long a1, long a2, long a3, long a4, long a5) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto call = reinterpret_cast<decltype(&ovl_gate_call)>(
      reinterpret_cast<uintptr_t>(&ovl_gate_call) + gate_shift);
  return call(number, a0, a1, a2, a3, a4, a5);
}

template <class... Args>
inline long raw_call(long number, Args... args) {
  const long a[6] = {(long)(args)...};  // NOLINT(google-readability-casting): pointers and integers
  return gate_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
inline long raw_call(long number) { return gate_call(number, 0, 0, 0, 0, 0, 0); }

template <class... Args>
inline long plain_call(long number, Args... args) {
  const long a[6] = {(long)(args)...};  // NOLINT(google-readability-casting): pointers and integers
  return ovl_plain_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // namespace ovl
