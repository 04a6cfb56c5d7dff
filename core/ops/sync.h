// What the calls that write to the disk have in common (sync.cc, msync.cc).
#pragma once

#include "core/caller/op.h"

namespace ovl {

// Of a volatile overlay: an error of writing to its upper since it began, again and again. Kernel
// counterpart: ovl_sync_status().
Result<void> volatile_status(Op& op, const Overlay& overlay);

// A sync of the caller's descriptor, which the kernel did by itself, has failed.
void note_failed_sync(Op& op, int fd, int error);

}  // namespace ovl
