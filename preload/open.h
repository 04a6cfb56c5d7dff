// open(2) for the other interposers.
#pragma once

#include <sys/types.h>

namespace ovl {

// The descriptor, or -errno. Async-signal-safe.
long open_kernel_style(int dirfd, const char* path, int flags, mode_t mode);

}  // namespace ovl
