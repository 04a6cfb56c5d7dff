// The links of procfs by which a descriptor of this process is a path again.
#pragma once

#include "core/base/arena.h"
#include "core/format/numbers.h"

namespace ovl {

// In decimal; data() == nullptr: no memory.
inline CStr number_text(Arena& arena, int number) {
  char digits[12];
  return arena.dup(Str(digits, put_number(digits, static_cast<uint64_t>(number), 10, 1)));
}

// "/proc/thread-self/fd/<fd>"; data() == nullptr: no memory.
inline CStr descriptor_link(Arena& arena, int fd) {
  return arena.concat("/proc/thread-self/fd/", number_text(arena, fd));
}

}  // namespace ovl
