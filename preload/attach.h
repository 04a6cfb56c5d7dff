// Finding the session. A process below ovlrun learns of it from its environment block, once; from
// then on nothing of ours is left in it.
#pragma once

#include "core/session/session.h"

namespace ovl {

// The session of this process, or nullptr when there is none: then every interposer is the bare
// system call. Attaches at the first call (which may come before our constructor: another
// library's, malloc's first call). A session that is named but cannot be attached ends the process:
// nothing ever falls through to the lower. Async-signal-safe; does not touch errno.
Session* attached();

// From now on the supervisor alone answers for this process, for good: a filter of the program's
// own may forbid what an operation needs to call. Nothing where there is no supervisor.
void step_aside();

}  // namespace ovl
