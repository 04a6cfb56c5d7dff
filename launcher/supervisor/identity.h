// A thread of the supervisor acts as the task that it serves: with its file system identity (when
// the supervisor is root and the task something less) and its umask. Kernel counterpart:
// override_creds(), fs_struct::umask.
#pragma once

#include "launcher/supervisor/task.h"

namespace ovl {

class Identity {
 public:
  // Once per thread: its umask becomes its own.
  Identity();

  void set_umask(mode_t mask);
  // Credentials are those of files: setfsuid(2), setfsgid(2), the groups of this thread alone.
  void take_on(const TaskStatus& status);

 private:
  mode_t umask_;
};

}  // namespace ovl
