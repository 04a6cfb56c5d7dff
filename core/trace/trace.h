// --trace: a binary record of each operation, appended to the session's trace file with one write,
// so that those of many processes never mix. The launcher makes text of them
// (launcher/process/trace_text.h). No descriptor stays open.
#pragma once

#include <fcntl.h>
#include <stdint.h>

#include "core/caller/op.h"

namespace ovl {

struct TraceRecord {
  uint32_t size;   // of the whole record, with the texts
  int32_t task;    // tid of the caller
  int32_t number;  // of the system call
  int32_t fd;      // what an operation without path acts on; AT_FDCWD: nothing
  int64_t value;   // as the system call returns it
  uint8_t native;  // 1: left to the kernel
  uint8_t before;  // 1: written before the operation; there may be no other record of it (execve)
  uint16_t path_size[2];
  uint16_t unreadable_size;  // EACCES: the lower file that the kernel lets nobody of this user read
  uint16_t stack_size;       // Origin::stack; in the first record of a call alone
  // then the texts, without NULs
};

// The paths among an operation's arguments, with the descriptor that each is relative to.
struct TracePaths {
  int fd = AT_FDCWD;
  int dirfd[2] = {AT_FDCWD, AT_FDCWD};
  UserPath path[2];
  int count = 0;

  void see(int argument) {
    if (count == 0 && fd == AT_FDCWD) fd = argument;
    last_ = argument;
  }
  void see(unsigned argument) { see(static_cast<int>(argument)); }
  void see(UserPath argument) {
    if (count < 2) {
      dirfd[count] = last_;
      path[count++] = argument;
    }
    last_ = AT_FDCWD;
  }
  template <class T>
  void see(const T&) {
    last_ = AT_FDCWD;
  }

 private:
  int last_ = AT_FDCWD;
};

// An operation that is recorded. It takes in what the caller said before anything is done: a caller
// in another process may have its answer, and run on, by the time that the operation returns.
class TracedCall {
 public:
  TracedCall(Op& op, long number, const TracePaths& paths);
  // Appends one record; nullptr: before the operation. Best effort: a full disk loses records,
  // never the operation.
  void record(const Outcome* outcome);
  bool runs_on() const { return origin_.runs_on; }

 private:
  Op& op_;
  long number_;
  const TracePaths& paths_;
  CStr texts_[2];
  Origin origin_;
};

}  // namespace ovl
