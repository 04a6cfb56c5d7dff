// Locks. What is no matter of locks stays libc's own call.
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>

#include "core/ops/follow.h"
#include "core/ops/lock_commands.h"
#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/next.h"

// libc's own, under a name that nobody interposes.
extern "C" int __fcntl(int fd, int command, ...);

namespace ovl {
namespace {

// Waiting is a cancellation point.
long lock(int fd, int command, void* argument) {
  const auto number = static_cast<unsigned>(command);
  if (Session* session = attached()) {
    PreloadCaller caller;
    const Outcome outcome = run_op<op_fcntl>(caller, *session, fd, number,
                                             UserBuf(reinterpret_cast<uintptr_t>(argument)));
    if (is_for_supervisor(*session, outcome))
      return trapped_call(SYS_fcntl, fd, command, reinterpret_cast<long>(argument));
    if (!outcome.is_native()) return outcome.value();
  }
  if (command != F_SETLKW && command != F_OFD_SETLKW)
    return raw_call(SYS_fcntl, fd, command, argument);
  CancellationPoint point;
  return raw_call(SYS_fcntl, fd, command, argument);
}

}  // namespace

int ip_flock(int fd, int how) { return static_cast<int>(libc_style(OVL_CALL(flock, fd, how))); }

int ip_fcntl(int fd, int command, ...) {
  va_list args;
  va_start(args, command);
  void* argument = va_arg(args, void*);
  va_end(args);
  if (!is_lock_command(static_cast<unsigned>(command))) {
    // Flags are the open file's.
    if (command == F_SETFL || command == F_GETFL)
      if (Session* session = attached()) follow_if_stale(*session);
    return __fcntl(fd, command, argument);
  }
  return static_cast<int>(libc_style(lock(fd, command, argument)));
}

int ip_lockf(int fd, int command, off_t size) {
  // To lock takes a descriptor that is open for writing; to ask does not.
  static Next<int(int, int, off_t)> next("lockf");
  if (Session* session = attached()) follow_if_stale(*session);
  auto* real = next.get();
  return real != nullptr ? real(fd, command, size) : -1;
}

}  // namespace ovl
