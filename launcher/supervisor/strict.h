// --strict: what resolves outside of every overlay is not left to the kernel and the task's own
// memory, where another thread could have put another path by then, but done here with the
// arguments that were looked at.
#pragma once

#include "launcher/supervisor/remote_caller.h"

namespace ovl {

// For a call (of x86-64) whose outcome was native. Native again: it changes nothing by a path, so
// the kernel may have it.
Outcome perform_outside(RemoteCaller& caller, long number, const long args[6]);

}  // namespace ovl
