// What callers need to know of descriptors that follow their file (ops/follow.h).
#pragma once

#include "core/caller/caller.h"

namespace ovl {

// LocalCaller::followed(), for who has no caller yet.
uint64_t local_followed();
// The process has descriptors that it never looked at.
void local_forget_followed();

// For good: a filter of the program's own allows perhaps nothing but to read.
void local_stop_following();
bool local_follows();

// The numbers in a task's directory of descriptors, which `dir` is open on. `own`: this one is none
// of the task's.
constexpr int kNoDescriptor = -1;
Result<DescriptorList> list_descriptors(Arena& arena, int dir, int own);

}  // namespace ovl
