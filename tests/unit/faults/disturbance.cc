// See disturbance.h.
#include "tests/unit/faults/disturbance.h"

#include <signal.h>
#include <sys/syscall.h>

namespace ovl::testing {
namespace {

thread_local Disturbance* current = nullptr;

bool is_harmless(long number) {
  switch (number) {
    case SYS_rt_sigprocmask:
    case SYS_futex:
    case SYS_gettid:
    case SYS_getpid:
    case SYS_getppid:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_kill:
    case SYS_close:
    case SYS_mmap:
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_kcmp:
    case SYS_geteuid:
    case SYS_getegid:
    case SYS_getgroups:
    case SYS_capget:
    case SYS_prctl:
    case SYS_clock_gettime:
    case SYS_nanosleep:
      return true;
    default:
      return false;
  }
}

bool only_reads(long number) {
  switch (number) {
    case SYS_statx:
    case SYS_fstat:
    case SYS_statfs:
    case SYS_fstatfs:
    case SYS_llistxattr:
    case SYS_listxattr:
    case SYS_flistxattr:
    case SYS_lgetxattr:
    case SYS_getxattr:
    case SYS_fgetxattr:
    case SYS_readlinkat:
    case SYS_getcwd:
    case SYS_lseek:
    case SYS_getdents64:
    case SYS_read:
    case SYS_pread64:
    case SYS_fcntl:
    case SYS_name_to_handle_at:
      return true;
    default:
      return is_harmless(number);
  }
}

// Waiting takes most of the time, and nothing here asks what a power loss leaves.
bool is_for_the_disk(long number) {
  return number == SYS_fsync || number == SYS_fdatasync || number == SYS_sync ||
         number == SYS_syncfs || number == SYS_sync_file_range;
}

long not_made(long, long, long, long, long, long, long) { return 0; }

}  // namespace

Disturbed::Disturbed(Disturbance* what) { current = what; }
Disturbed::~Disturbed() { current = nullptr; }

#define OVL_CALL_ARGUMENTS long a0, long a1, long a2, long a3, long a4, long a5

extern "C" long __real_ovl_gate_call(long number, OVL_CALL_ARGUMENTS);
extern "C" long __wrap_ovl_gate_call(long number, OVL_CALL_ARGUMENTS);

extern "C" long __wrap_ovl_gate_call(long number, OVL_CALL_ARGUMENTS) {
  Disturbance* const d = current;
  const auto call = is_for_the_disk(number) ? not_made : __real_ovl_gate_call;
  const bool kill = d != nullptr && d->how == Disturbance::How::kKill;
  if (d == nullptr || (kill ? only_reads(number) : is_harmless(number)) || ++d->count != d->at)
    return call(number, a0, a1, a2, a3, a4, a5);
  d->reached = true;
  d->number = number;
  if (kill) raise(SIGKILL);
  return -d->error;
}

bool cleans_up(long number) {
  return number == SYS_unlinkat || number == SYS_unlink || number == SYS_rmdir;
}

}  // namespace ovl::testing
