// utimensat(2), futimesat(2), utime(2). Kernel counterpart: do_utimes(), vfs_utimes(),
// ovl_setattr().
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include "core/ops/target.h"

namespace ovl {
namespace {

bool nsec_valid(long nsec) {
  return nsec == UTIME_OMIT || nsec == UTIME_NOW || (nsec >= 0 && nsec < 1000000000);
}

// times: nullptr = both now.
Outcome set_times(Op& op, const Target& t, const timespec* times) {
  if (times != nullptr && !(nsec_valid(times[0].tv_nsec) && nsec_valid(times[1].tv_nsec)))
    return Error(EINVAL);
  TRY(may_change(t));
  const bool now =
      times == nullptr || (times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW);
  Result<void> owner = may_own(op, *t.node, t.top);
  if (!owner.ok()) {
    // The present time is also for who may write; an immutable object is nobody's.
    if (!now || flags_of(*t.node, t.top).immutable) return owner;
    TRY(may(op, *t.node, t.top, W_OK));
  }
  return change(op, t, Data::kNone, [&](const Changing& c) { return c.object.utimens(times); });
}

// A path, or the descriptor itself when the path is NULL. `set` carries out what lies outside.
Result<Target> find_for_times(Op& op, int dirfd, UserPath path, int flags) {
  if (!path.null() || dirfd == AT_FDCWD) {
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Error(EINVAL);
    return find(op, dirfd, path, walk_flags(flags));
  }
  if (flags != 0) return Error(EINVAL);
  return find_fd(op, dirfd, FdUse::kOpened);
}

Outcome set_found(Op& op, const Target& t, const timespec* times, int flags) {
  if (t.native) return Outcome::native();
  if (t.is_outside()) return call_outside(t, SYS_utimensat, times, flags & AT_SYMLINK_NOFOLLOW);
  return set_times(op, t, times);
}

}  // namespace

Outcome op_utimensat(Op& op, int dirfd, UserPath path, UserBuf user_times, int flags) {
  timespec times[2];
  const bool given = !user_times.null();
  if (given) {
    TRY(op.caller().copy_in(times, user_times.as<const void>(), sizeof times));
    // Nothing to do: the kernel does not even look at the path.
    if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT) return 0;
  }
  return on_target(
      [&] { return find_for_times(op, dirfd, path, flags); },
      [&](const Target& t) { return set_found(op, t, given ? times : nullptr, flags); });
}

Outcome op_futimesat(Op& op, int dirfd, UserPath path, UserBuf user_times) {
  timeval given[2];
  timespec times[2];
  if (!user_times.null()) {
    TRY(op.caller().copy_in(given, user_times.as<const void>(), sizeof given));
    for (int i = 0; i < 2; i++) {
      if (given[i].tv_usec < 0 || given[i].tv_usec >= 1000000) return Error(EINVAL);
      times[i] = timespec{given[i].tv_sec, given[i].tv_usec * 1000};
    }
  }
  return on_target(
      [&] { return find_for_times(op, dirfd, path, 0); },
      [&](const Target& t) { return set_found(op, t, user_times.null() ? nullptr : times, 0); });
}

Outcome op_utime(Op& op, UserPath path, UserBuf user_times) {
  timespec times[2];
  if (!user_times.null()) {
    utimbuf given;
    TRY(op.caller().copy_in(&given, user_times.as<const void>(), sizeof given));
    times[0] = timespec{given.actime, 0};
    times[1] = timespec{given.modtime, 0};
  }
  return on_target(
      [&] { return find(op, AT_FDCWD, path, kFollow); },
      [&](const Target& t) { return set_found(op, t, user_times.null() ? nullptr : times, 0); });
}

}  // namespace ovl
