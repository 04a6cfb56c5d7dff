// From a libc function to an operation: the body that interposers share. Async-signal-safe, no
// malloc, no dlsym.
#pragma once

#include <errno.h>

#include "core/caller/followed.h"
#include "core/caller/local_caller.h"
#include "core/ops/ops.h"
#include "core/session/readers.h"
#include "core/sys/gate.h"
#include "preload/attach.h"

namespace ovl {

// Makes one blocking call a cancellation point, as libc does it: a cancellation request acts at
// once meanwhile. Requires: no lock and no descriptor of ours is held, since a cancelled thread
// never comes back here.
class CancellationPoint {
 public:
  CancellationPoint();
  ~CancellationPoint();
  CancellationPoint(const CancellationPoint&) = delete;
  CancellationPoint& operator=(const CancellationPoint&) = delete;

 private:
  int old_type_;
};

// This task, with what an open(2) of libc promises: it may be cancelled while it waits for a FIFO's
// other end.
class PreloadCaller final : public LocalCaller {
 public:
  Outcome open_for_caller(CStr real, int flags, mode_t mode, Opens what,
                          bool kernel_finds) override;
  Result<void> ask_to_follow() override;
};

// Arguments as the registers of a system call.
inline long to_register(long value) { return value; }
template <class T>
inline long to_register(UserPtr<T> pointer) {
  return static_cast<long>(pointer.address());
}

// Calls that an old kernel lacks, made from older ones. -errno on failure.
long native_fchmodat2(int dirfd, const char* path, mode_t mode, int flags);
long native_faccessat2(int dirfd, const char* path, int mode, int flags);

// Stale descriptors of this process follow their files (core/ops/follow.h).
void follow_slowly(Session& session);
inline void follow_if_stale(Session& session) {
  const uint64_t count = stale_count(session);
  if (count != 0 && count != local_followed()) [[unlikely]]
    follow_slowly(session);
}

// A system call that the filter sees.
template <class... Args>
inline long trapped_call(long number, Args... args) {
  const long a[6] = {args...};
  return ovl_gate_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// The system call itself, for outcome native.
template <long number, class... Args>
inline long native_call(Args... args) {
  const long a[] = {to_register(args)...};
  if constexpr (number == SYS_fchmodat2) {
    return native_fchmodat2(static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1]),
                            static_cast<mode_t>(a[2]), static_cast<int>(a[3]));
  } else if constexpr (number == SYS_faccessat2) {
    return native_faccessat2(static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1]),
                             static_cast<int>(a[2]), static_cast<int>(a[3]));
  } else {
    return raw_call(number, to_register(args)...);
  }
}

// Did the operation fail for want of a descriptor that it opens on the way, where the program's own
// call opens none, or may not even come that far? The supervisor has descriptors: the same call
// from outside of the gate is its own to make, and EMFILE is then what the program would get.
inline bool is_for_supervisor(const Session& session, const Outcome& outcome) {
  return !outcome.is_native() && outcome.value() == -EMFILE && session.segment().supervised != 0;
}

// The operation, or the system call itself: -errno on failure.
template <auto op_function, long number, class... Args>
inline long call_kernel_style(Args... args) {
  if (Session* session = attached()) {
    follow_if_stale(*session);
    PreloadCaller caller;
    Outcome outcome = run_op<op_function>(caller, *session, args...);
    if (is_for_supervisor(*session, outcome)) return trapped_call(number, to_register(args)...);
    if (!outcome.is_native()) return outcome.value();
  }
  return native_call<number>(args...);
}

// -errno becomes -1 and errno; errno is untouched on success.
inline long libc_style(long result) {
  if (result < 0 && result > -4096) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return result;
}

#define OVL_CALL(op, ...) ::ovl::call_kernel_style<&::ovl::op_##op, SYS_##op>(__VA_ARGS__)

// Puts errno back as it was, after what libc-style functions do on the way to a success.
class ErrnoSaver {
 public:
  ErrnoSaver() : saved_(errno) {}
  ~ErrnoSaver() { errno = saved_; }
  void fail(int error) { saved_ = error; }  // leave this errno instead
  ErrnoSaver(const ErrnoSaver&) = delete;
  ErrnoSaver& operator=(const ErrnoSaver&) = delete;

 private:
  int saved_;
};

}  // namespace ovl
