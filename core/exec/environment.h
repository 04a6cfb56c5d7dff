// The environment that an exec'ed program gets: the program's own, with the session in it. Never
// the caller's block edited: a private copy for the moment of the exec.
#pragma once

#include "core/caller/op.h"

namespace ovl {

// NULL-terminated copies of the caller's vectors in arena memory (strings of a local caller are not
// copied).
struct Vector {
  char** items;
  size_t count;  // without the NULL
};
// A NULL vector counts as empty, as the kernel has it. Errors: EFAULT, E2BIG. `spare` leaves room
// for that many more.
Result<Vector> copy_in_vector(Op& op, UserBuf vector, size_t spare);

// Adds the preload object (behind the program's own LD_PRELOAD entries: those keep their place),
// the session, and the library directories of uppers (`libraries`; data() == nullptr: none). What
// the program itself had set LD_LIBRARY_PATH to travels beside it, for the preload object to put
// back before the program looks: kOriginalLibraries, or kNoLibraries when it was not set.
// `called`: what it is to find in AT_EXECFN (kCalledName); empty: what the kernel puts there.
Result<Vector> session_environment(Op& op, const Vector& env, CStr libraries, Str called);

// The environment without anything of ours: for a program that the preload object can't follow.
// `env` itself, the very items, where nothing of ours is in it.
Result<Vector> plain_environment(Op& op, const Vector& env);

// The program's own value of a variable ("NAME="); data() == nullptr: not set.
Str variable(const Vector& env, Str name_and_equals);

inline constexpr Str kPreloadVariable("LD_PRELOAD=");
inline constexpr Str kLibraryVariable("LD_LIBRARY_PATH=");
inline constexpr Str kOriginalPrefix("OVLRUN_");  // in front of a variable: its original
inline constexpr Str kOriginalLibraries("OVLRUN_LD_LIBRARY_PATH=");
inline constexpr Str kNoLibraries("OVLRUN_NO_LD_LIBRARY_PATH=1");
inline constexpr Str kCalledName("OVLRUN_EXECFN=");

}  // namespace ovl
