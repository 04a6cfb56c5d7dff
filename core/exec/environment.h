// The environment that an exec'ed program gets: the program's own, with the session in it. Never the caller's block edited: a
// private copy for the moment of the exec.
#pragma once

#include "core/caller/op.h"

namespace ovl {

// NULL-terminated copies of the caller's vectors in arena memory (strings of a local caller are not copied).
struct Vector {
  char** items;
  size_t count;  // without the NULL
};
// A NULL vector counts as empty, as the kernel has it. Errors: EFAULT, E2BIG. `spare` leaves room for that many more.
Result<Vector> copy_in_vector(Op& op, UserBuf vector, size_t spare);

// Adds the preload object (behind the program's own LD_PRELOAD entries: those keep their place) and the session.
Result<Vector> session_environment(Op& op, const Vector& env);

inline constexpr Str kPreloadVariable("LD_PRELOAD=");

}  // namespace ovl
