// A start is a chain of short steps in several processes. On a machine that is busy each new
// process would wait behind the whole turns of others; who asks the scheduler for short turns gets
// its own sooner, and no more of the processor. Linux 6.12 or newer; kernel counterpart:
// sched_entity's custom_slice.
#pragma once

namespace ovl {

// For this process and those that it forks from now on. Best effort.
void take_short_turns();
// In the command: its turns are the caller's again.
void give_turns_back();

}  // namespace ovl
