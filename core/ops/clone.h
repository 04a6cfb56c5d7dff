// FICLONE, FICLONERANGE.
#pragma once

#include "core/ops/ops.h"

namespace ovl {

// ioctl_ficlone(2) onto the caller's descriptor `to`. A source that is in a lower whose file system
// shares no blocks with the upper's is copied up first, where the upper's can clone at all: the
// hundredth copy of it is as cheap as the second. Kernel counterpart: none; its overlayfs gives
// EXDEV.
Outcome clone_range(Op& op, int to, unsigned long request, UserBuf argument);

}  // namespace ovl
