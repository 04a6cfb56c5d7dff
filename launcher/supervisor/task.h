// What /proc tells of a task: who it is, and what it is allowed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/result.h"

namespace ovl {

// "/proc/<tid>/<rest>"
std::string proc_path(pid_t tid, const char* rest);

// Of /proc/<tid>/status. Kernel counterpart: struct cred, fs_struct::umask.
struct TaskStatus {
  pid_t tgid = 0;
  uid_t fsuid = 0;
  gid_t fsgid = 0;
  uid_t euid = 0;
  std::vector<gid_t> groups;
  uint64_t effective = 0;  // capabilities
  mode_t umask = 022;
  unsigned filters = 0;  // of seccomp; 0 before Linux 5.9
  std::string name;
};
// The flags of /proc/<tid>/fdinfo/<fd>: as open(2) takes them, O_CLOEXEC too. EBADF.
Result<unsigned> fd_flags(pid_t tid, int fd);
// ESRCH: it is gone.
Result<TaskStatus> read_status(pid_t tid);

}  // namespace ovl
