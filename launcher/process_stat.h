// Of /proc/<tid>/stat: what stands there only, or is read there at the least cost.
#pragma once

#include <stdint.h>
#include <sys/types.h>

namespace ovl {

struct ProcessStat {
  char state = 0;
  pid_t parent = 0;  // a thread has its process's
  uint64_t start = 0;
};
// False: it is gone.
bool read_process_stat(pid_t tid, ProcessStat* out);

// When the process began, in clock ticks since boot; 0: there is none.
uint64_t start_time_of(pid_t pid);

// Is the task stopped (by a signal)? False when it is gone.
bool is_stopped(pid_t pid);

}  // namespace ovl
