// Making an upper portable: nothing in it refers to a lower by another name or for its data any
// more, so that a kernel mount of user.overlay.*, and fuse-overlayfs, show what ovlrun shows.
#pragma once

#include "launcher/upper/progress.h"
#include "launcher/upper/view.h"

namespace ovl {

// Requires: the upper is held; source.work is set. Throws Failure; what was done until then is
// good, and the mark of the unportable stays. So it is after a kill: each step is atomic, and what
// programs see is the same after each.
void settle(const UpperSource& source, Progress& progress);

}  // namespace ovl
