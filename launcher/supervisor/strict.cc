// See strict.h.
#include "launcher/supervisor/strict.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <utime.h>

#include <string>
#include <vector>

#include "core/ops/ops.h"
#include "core/sys/kernel_abi.h"
#include "core/sys/scratch.h"

namespace ovl {
namespace {

class Outside {
 public:
  explicit Outside(RemoteCaller& caller) : caller_(caller) {}

  Outcome run(const RawCall& c) {
    const long* a = c.args;
    switch (c.number) {
      case SYS_openat:
        return open(a[0], a[1], static_cast<int>(a[2]), static_cast<mode_t>(a[3]));
      case SYS_openat2:
        return open_limited(a);
      case SYS_mkdirat:
      case SYS_mknodat:
      case SYS_unlinkat:
        return raw(c.number, a[0], TRY(path(a[1])), a[2], a[3]);
      case SYS_fchownat: {
        const At at = reach(a[0], TRY(path(a[1])));
        return raw_call(c.number, at.dirfd(), at.name(), a[2], a[3], a[4]);
      }
      case SYS_fchmodat2: {
        const At at = reach(a[0], TRY(path(a[1])));
        return a[3] == 0 ? raw_call(SYS_fchmodat, at.dirfd(), at.name(), a[2])
                         : raw_call(c.number, at.dirfd(), at.name(), a[2], a[3]);
      }
      case SYS_symlinkat: {
        const CStr text = TRY(path(a[0]));
        return raw(c.number, text, a[1], TRY(path(a[2])));
      }
      case SYS_linkat:
      case SYS_renameat2: {
        const CStr from = TRY(path(a[1]));
        return raw(c.number, a[0], from, a[2], TRY(path(a[3])), a[4]);
      }
      case SYS_utimensat: {
        struct timespec values[2];
        const void* given = TRY(times(a[2], values, sizeof values));
        if (a[1] == 0) return Outcome::native();  // by descriptor
        const At at = reach(a[0], TRY(path(a[1])));
        return raw_call(c.number, at.dirfd(), at.name(), given, a[3]);
      }
      case SYS_futimesat: {
        struct timeval values[2];
        const void* given = TRY(times(a[2], values, sizeof values));
        if (a[1] == 0) return Outcome::native();
        const At at = reach(a[0], TRY(path(a[1])));
        return raw_call(c.number, at.dirfd(), at.name(), given);
      }
      case SYS_utime: {
        struct utimbuf values;
        const void* given = TRY(times(a[1], &values, sizeof values));
        return raw_call(c.number, reach(AT_FDCWD, TRY(path(a[0]))).name(), given);
      }
      case SYS_truncate:
        return raw_call(c.number, reach(AT_FDCWD, TRY(path(a[0]))).name(), a[1]);
      case SYS_setxattr:
      case SYS_lsetxattr:
        return set_xattr(c.number, a);
      case SYS_removexattr:
      case SYS_lremovexattr: {
        const At at = reach(AT_FDCWD, TRY(path(a[0])));
        return raw_call(c.number, at.name(), TRY(path(a[1])).c_str());
      }
      default:
        return Outcome::native();
    }
  }

 private:
  Result<CStr> path(long address) {
    return caller_.copy_in_path(scratch_.arena(), UserPath(static_cast<uintptr_t>(address)));
  }
  static long word(long value) { return value; }
  static long word(CStr text) { return reinterpret_cast<long>(text.c_str()); }
  template <class... Args>
  Outcome raw(long number, Args... args) {
    const long a[6] = {word(args)...};
    return caller_.raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  At reach(long dirfd, CStr path) {
    return caller_.reach(scratch_.arena(), static_cast<int>(dirfd), path);
  }

  Outcome open(long dirfd, long address, int flags, mode_t mode) {
    const CStr words = TRY(path(address));
    if (words.empty()) return Error(ENOENT);
    const At at = reach(dirfd, words);
    return caller_.open_for_caller(CStr(at.name(), strlen(at.name())), flags, mode,
                                   Caller::Opens::kAnything, false);
  }

  // openat2(2): what limits the way is bound to where it starts.
  Outcome open_limited(const long* a) {
    const CStr words = TRY(path(a[1]));
    open_how how = {};
    if (static_cast<size_t>(a[3]) != sizeof how) return Error(E2BIG);
    TRY(caller_.copy_in(&how, UserPtr<const void>(static_cast<uintptr_t>(a[2])), sizeof how));
    const UniqueFd start = TRY(sys_openat(reach(a[0], "."), O_PATH | O_DIRECTORY));
    open_how look = how;
    look.flags = O_PATH | (how.flags & (O_NOFOLLOW | O_DIRECTORY));
    look.mode = 0;
    Result<UniqueFd> there = sys_openat2(At(start.get(), words), look);
    StatX st = {};
    if (there.ok()) TRY(sys_fstat(there.value().get(), &st));
    // Neither can be given to the task, and it can't be made to do it with these limits: programs
    // fall back to openat.
    if ((how.flags & O_PATH) != 0 || S_ISFIFO(st.stx_mode) || S_ISCHR(st.stx_mode))
      return Error(ENOSYS);
    const bool close_on_exec = (how.flags & O_CLOEXEC) != 0;
    how.flags |= O_CLOEXEC | O_NOCTTY;
    UniqueFd fd = TRY(sys_openat2(At(start.get(), words), how));
    return caller_.give_fd(std::move(fd), close_on_exec ? O_CLOEXEC : 0);
  }

  // nullptr: none were given.
  Result<const void*> times(long address, void* values, size_t size) {
    const UserPtr<const void> from(static_cast<uintptr_t>(address));
    if (from.null()) return static_cast<const void*>(nullptr);
    TRY(caller_.copy_in(values, from, size));
    return static_cast<const void*>(values);
  }

  Outcome set_xattr(long number, const long* a) {
    const At at = reach(AT_FDCWD, TRY(path(a[0])));
    const CStr name = TRY(path(a[1]));
    const auto size = static_cast<size_t>(a[3]);
    if (size > XATTR_SIZE_MAX) return Error(E2BIG);
    std::vector<char> value(size);
    TRY(caller_.copy_in(value.data(), UserPtr<const void>(static_cast<uintptr_t>(a[2])), size));
    return raw_call(number, at.name(), name.c_str(), value.data(), size, a[4]);
  }

  RemoteCaller& caller_;
  Scratch scratch_;
};

}  // namespace

Outcome perform_outside(RemoteCaller& caller, long number, const long args[6]) {
  return Outside(caller).run(newest_spelling(number, args));
}

}  // namespace ovl
