// What writes to the disk. These may be cancelled while they wait; what the kernel does by itself
// and fails at is noted for the session (core/session/error_sequence.h).
#include "core/ops/sync.h"

#include <sys/mman.h>

#include "preload/call.h"
#include "preload/interposers.h"

namespace ovl {
namespace {

template <class... Args>
long wait_for_kernel(long number, Args... args) {
  CancellationPoint point;
  return raw_call(number, args...);
}

// -EMFILE is the supervisor's to do.
template <auto op_function, long number, class... Args>
long call(int fd, Args... args) {
  Session* const session = attached();
  if (session == nullptr) return wait_for_kernel(number, fd, args...);
  follow_if_stale(*session);
  PreloadCaller caller;
  const Outcome outcome = run_op<op_function>(caller, *session, fd, args...);
  if (is_for_supervisor(*session, outcome))
    return trapped_call(number, static_cast<long>(fd), static_cast<long>(args)...);
  if (!outcome.is_native()) return outcome.value();
  const long result = wait_for_kernel(number, fd, args...);
  if (result < 0) {
    Op op(caller, *session);
    note_failed_sync(op, fd, static_cast<int>(-result));
  }
  return result;
}

}  // namespace

int ip_fsync(int fd) { return static_cast<int>(libc_style(call<op_fsync, SYS_fsync>(fd))); }
int ip_fdatasync(int fd) {
  return static_cast<int>(libc_style(call<op_fdatasync, SYS_fdatasync>(fd)));
}
int ip_syncfs(int fd) { return static_cast<int>(libc_style(call<op_syncfs, SYS_syncfs>(fd))); }
int ip_sync_file_range(int fd, off_t from, off_t size, unsigned flags) {
  return static_cast<int>(
      libc_style(call<op_sync_file_range, SYS_sync_file_range>(fd, from, size, flags)));
}

int ip_msync(void* from, size_t size, int flags) {
  if (Session* session = attached()) {
    PreloadCaller caller;
    const Outcome outcome = run_op<op_msync>(caller, *session, UserBuf(from), size, flags);
    if (!outcome.is_native()) return static_cast<int>(libc_style(outcome.value()));
  }
  return static_cast<int>(libc_style(wait_for_kernel(SYS_msync, from, size, flags)));
}

void ip_sync() {
  if (Session* session = attached()) {
    PreloadCaller caller;
    if (!run_op<op_sync>(caller, *session).is_native()) return;
  }
  raw_call(SYS_sync);
}

}  // namespace ovl
