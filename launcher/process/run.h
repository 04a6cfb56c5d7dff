// Runs a command in a session. Four processes, each a child of the one before:
//
//   front       this process, in the caller's process group. Waits; its status and terminating
//               signal are the command's.
//   supervisor  in a session of its own. Serves what the filter traps. An ancestor of everything
//               below ovlrun, so that it may read and trace it (Yama), and not its parent: what it
//               traces stops for it alone. Left out where no filter is wanted; where there can be
//               none it only waits.
//   keeper      in a session of its own (so that it changes nothing about which process groups are
//               orphaned, and no terminal reaches it), child subreaper. Holds the locks until the
//               last of those below it is gone.
//   command     in the caller's process group and session, with the caller's descriptors, signal
//               mask and dispositions.
//
// A stopped command stops the front, so that the caller's shell sees it; a stopped front never
// stops the keeper. Signals that the terminal sends reach the command by themselves; all others are
// passed on by the front.
#pragma once

#include <string>

#include "launcher/options.h"
#include "launcher/run/intercept.h"
#include "launcher/session/plan.h"

namespace ovl {

// `wanted`: a supervisor is done without where --intercept allows that and it can't be had. Returns
// the exit status of ovlrun, or ends by the signal that ended the command. Throws Failure.
int run_command(const RunOptions& options, const Plan& plan, const Ways& wanted);

// --- its parts ---
struct CallerSignals;

// In the child that is to become the command, before it has the filter. `own_exec`: it is to be
// executed from the gate page, as a program with the preload does it.
void prepare_command(bool own_exec);

// In a child of the keeper: becomes the command. Never returns.
[[noreturn]] void become_command(const RunOptions& options, const std::string& session_file,
                                 const Ways& ways, const CallerSignals& signals);

// In a child of the front: has the keeper for a child, serves what the filter traps, and ends as
// the keeper ends. Never returns.
[[noreturn]] void be_supervisor(const RunOptions& options, const Plan& plan, const Ways& wanted,
                                const CallerSignals& signals, int channel, pid_t front);

// In a child of the front or the supervisor: starts the session and the command, and stays until
// all is over. `supervisor`: socket to it, -1 where none is wanted. Never returns.
[[noreturn]] void be_keeper(const RunOptions& options, const Plan& plan, const Ways& wanted,
                            const CallerSignals& signals, int channel, pid_t front, int supervisor);

}  // namespace ovl
