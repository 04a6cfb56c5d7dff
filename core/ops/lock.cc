// flock(2), and the locks of fcntl(2). They are on an inode: all have to mean the same one, so a
// lower's object comes to the upper when it is locked, and the descriptor with it. Kernel
// counterpart: an overlay's inode, which is one whatever is below it.
#include <fcntl.h>
#include <sys/file.h>

#include "core/ops/follow.h"
#include "core/ops/lock_commands.h"
#include "core/ops/ops.h"

namespace ovl {
namespace {

// EBADF; EMFILE: no descriptor is free, nor was one for whoever asks the supervisor; ENOLCK: the
// object can't be brought to the upper.
Outcome lock(Op& op, int fd) {
  const Result<void> r = bring_descriptor(op, fd);
  if (r.ok()) return Outcome::native();
  return Error(r.error() == EBADF || r.error() == EMFILE ? r.error() : ENOLCK);
}

}  // namespace

Outcome op_flock(Op& op, int fd, int how) {
  follow_if_stale(op);
  // Nobody has locked what is on a lower.
  return (how & LOCK_UN) != 0 ? Outcome::native() : lock(op, fd);
}

Outcome op_fcntl(Op& op, int fd, unsigned command, UserBuf) {
  if (!is_lock_command(command)) return Outcome::native();
  follow_if_stale(op);
  return tells_of_locks(command) ? Outcome::native() : lock(op, fd);
}

}  // namespace ovl
