// Runs a command in a session. Three processes:
//
//   front    this process, in the caller's process group. Waits; its status and terminating signal
//   are the command's. keeper   child of the front, in a session of its own (so that it changes
//   nothing about which process groups are
//            orphaned, and no terminal reaches it), child subreaper: an ancestor of everything
//            below ovlrun. Holds the locks until the last of them is gone. The seat of the
//            supervisor.
//   command  child of the keeper, in the caller's process group and session, with the caller's
//   descriptors, signal
//            mask and dispositions.
//
// A stopped command stops the front, so that the caller's shell sees it; a stopped front never
// stops the keeper. Signals that the terminal sends reach the command by themselves; all others are
// passed on by the front.
#pragma once

#include "launcher/options.h"
#include "launcher/session/plan.h"

namespace ovl {

// Returns the exit status of ovlrun, or ends by the signal that ended the command. Throws Failure.
int run_command(const RunOptions& options, const Plan& plan);

// --- its parts ---
struct CallerSignals;
class RunningSession;

// In a child of the keeper: becomes the command. Never returns.
[[noreturn]] void become_command(const RunOptions& options, const RunningSession& session,
                                 const CallerSignals& signals);

// In a child of the front: starts the session and the command, and stays until all is over. Never
// returns.
[[noreturn]] void be_keeper(const RunOptions& options, const Plan& plan,
                            const CallerSignals& signals, int channel, pid_t front);

}  // namespace ovl
