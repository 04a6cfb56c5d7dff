// See identity.h.
#include "launcher/supervisor/identity.h"

#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/failure.h"

namespace ovl {

Identity::Identity() {
  if (unshare(CLONE_FS) != 0) fail("can't have a umask of its own: {}", error_text(errno));
  umask_ = ::umask(022);
  ::umask(umask_);
}

void Identity::set_umask(mode_t mask) {
  if (mask == umask_) return;
  ::umask(mask);
  umask_ = mask;
}

void Identity::take_on(const TaskStatus& status) {
  // By the bare calls: libc's act on all threads. The order keeps the right to do the next.
  syscall(SYS_setfsuid, 0);
  syscall(SYS_setgroups, status.groups.size(), status.groups.data());
  syscall(SYS_setfsgid, status.fsgid);
  syscall(SYS_setfsuid, status.fsuid);
}

}  // namespace ovl
