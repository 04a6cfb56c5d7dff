// Where a system call comes from: the call stack of a task that waits for the supervisor's answer.
// No ptrace stop, nothing in the task changes: memory and /proc are read.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace ovl {

struct Frame {
  uint64_t address;
  std::string object;      // base name of the file that the code is in; "[vdso]"; empty: none
  uint64_t object_offset;  // from where the object begins
  std::string function;    // demangled; empty: not known
  uint64_t function_offset;
};

// Innermost first; the first one is the instruction after the system call's own. At least that one
// whenever the task is there still. An unwinder that loses its way ends the list. Requires: the
// task (a tid) is blocked in a call of x86-64.
std::vector<Frame> backtrace(pid_t task);

// "function+0x12 (libc.so.6+0x9f1a2)", "libc.so.6+0x9f1a2", "0x7f00...".
std::string frame_text(const Frame& frame);

// For --trace: where the call of a task comes from that has the preload, and yet was trapped: the
// name of the program (comm), then one frame a line. Empty for programs that the preload does not
// follow: all of their calls are trapped.
std::string trapped_from(pid_t task);

}  // namespace ovl
