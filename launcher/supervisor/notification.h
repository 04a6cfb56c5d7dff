// One system call that the kernel has stopped for us. See seccomp_unotify(2).
#pragma once

#include <linux/seccomp.h>
#include <sys/types.h>

#include <cstdint>

#include "core/base/result.h"

namespace ovl {

enum class Received { kCall, kNothing /* the task died, or a signal: try again */, kNobodyLeft };

class Notification {
 public:
  // `listener`: the notification descriptor, not owned.
  explicit Notification(int listener) : listener_(listener) {}
  Notification(const Notification&) = delete;
  Notification& operator=(const Notification&) = delete;

  // Waits for the next call of anybody.
  Received receive();

  uint64_t id() const { return call_.id; }
  pid_t tid() const { return static_cast<pid_t>(call_.pid); }
  const seccomp_data& data() const { return call_.data; }

  // Is the task still alive and in this call? What was read of a task is only its own if this holds
  // afterwards: task numbers are used again.
  bool valid() const;

  // Each call gets one answer; those after the first do nothing. The task may be gone: nobody waits
  // for an answer then.
  bool answered() const { return answered_; }
  void answer(long value);  // as the system call returns it
  void pass();              // the kernel makes the call as the task meant it
  // Puts a copy of `fd` into the task and answers with its number. Errors: EMFILE; others mean that
  // the task is gone.
  Result<int> give(int fd, bool close_on_exec);
  // The same without the answer.
  Result<int> put(int fd, bool close_on_exec);
  // Puts a copy of `fd` in the place of the task's descriptor, without the answer.
  Result<void> replace(int number, int fd, bool close_on_exec);
  // Somebody else has answered (Assist).
  void set_answered() { answered_ = true; }

 private:
  Result<int> add(int fd, bool close_on_exec, unsigned flags);
  void send(const seccomp_notif_resp& response);

  const int listener_;
  bool answered_ = false;
  seccomp_notif call_{};
};

// Asks the kernel to wake the supervisor on the task's own core, and back (Linux 6.6).
void wake_synchronously(int listener);

}  // namespace ovl
