// A thread of the supervisor acts as the task that it serves: with its file system identity (when
// the supervisor is root and the task something less) and its umask. Kernel counterpart:
// override_creds(), fs_struct::umask.
#pragma once

#include <linux/capability.h>

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

// This thread looks at files as the supervisor itself, as long as this lives.
class OwnIdentity {
 public:
  OwnIdentity();
  ~OwnIdentity();
  OwnIdentity(const OwnIdentity&) = delete;
  OwnIdentity& operator=(const OwnIdentity&) = delete;

 private:
  const uid_t before_;
};

// This thread has none of the capabilities that the task lacks, as long as this lives.
class LessCapable {
 public:
  explicit LessCapable(uint64_t effective);
  ~LessCapable();
  LessCapable(const LessCapable&) = delete;
  LessCapable& operator=(const LessCapable&) = delete;

 private:
  __user_cap_data_struct before_[2] = {};
};

}  // namespace ovl
