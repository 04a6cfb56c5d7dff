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

OwnIdentity::OwnIdentity() : before_(static_cast<uid_t>(syscall(SYS_setfsuid, geteuid()))) {}
OwnIdentity::~OwnIdentity() { syscall(SYS_setfsuid, before_); }

namespace {

__user_cap_header_struct this_thread() { return {_LINUX_CAPABILITY_VERSION_3, 0}; }

}  // namespace

LessCapable::LessCapable(uint64_t effective) {
  __user_cap_header_struct header = this_thread();
  syscall(SYS_capget, &header, before_);
  __user_cap_data_struct now[] = {before_[0], before_[1]};
  now[0].effective &= static_cast<uint32_t>(effective);
  now[1].effective &= static_cast<uint32_t>(effective >> 32);
  syscall(SYS_capset, &header, now);
}

LessCapable::~LessCapable() {
  __user_cap_header_struct header = this_thread();
  syscall(SYS_capset, &header, before_);
}

}  // namespace ovl
