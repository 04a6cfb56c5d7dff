// See i386.h, and i386.def for the table.
#include "launcher/supervisor/i386.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>

#include "core/ops/ops.h"
#include "core/readdir/position.h"
#include "core/sys/sys.h"
#include "launcher/supervisor/i386_caller.h"
#include "launcher/supervisor/i386_layouts.h"

namespace ovl {
namespace {

constexpr int kLargeFile = 0100000;  // libc defines it as 0 where it is always meant

using enum CompatCaller::Layout;

// One i386 call on its way to an operation.
class Call {
 public:
  Call(Caller& caller, Session& session, const long args[6])
      : real_(caller), compat_(caller), session_(session) {
    for (int i = 0; i < 6; i++) args_[i] = static_cast<uint32_t>(args[i]);
  }

  Outcome dispatch(long number);

 private:
  // The words of i386.def.
  long in(CompatCaller::Layout layout, long address) { return compat_.window(layout, address); }
  long out(CompatCaller::Layout layout, long address) { return compat_.window(layout, address); }
  static long s32(long value) { return static_cast<int32_t>(value); }
  static long u64(long low, long high) { return high << 32 | low; }
  static long id16(long value) {  // low2highuid()
    const auto id = static_cast<uint16_t>(value);
    return id == UINT16_MAX ? -1 : id;
  }
  long opened(long flags) {
    if ((flags & (kLargeFile | O_PATH)) == 0 && (flags & O_ACCMODE) != O_RDONLY)
      compat_.open_small_files();
    return flags;
  }
  // compat_sys_ioctl(): the same request under another number.
  static long request(long number) {
    if (number == FS_IOC32_GETFLAGS) return FS_IOC_GETFLAGS;
    if (number == FS_IOC32_SETFLAGS) return FS_IOC_SETFLAGS;
    return number;
  }

  template <class... Args>
  Outcome run(long number, Args... args) {
    const long mapped[6] = {static_cast<long>(args)...};
    return ovl::dispatch(compat_, session_, number, mapped);
  }
  Outcome run_same(long number) { return ovl::dispatch(compat_, session_, number, args_); }

#define I386_HAND(name, number) Outcome hand_##name();
#define I386_SOCKET(name, call, count, target, ...) Outcome socket_##name();
#include "launcher/supervisor/i386.def"

  Caller& real_;
  CompatCaller compat_;
  Session& session_;
  long args_[6];
};

// compat_sys_statfs64(), compat_sys_fstatfs64(): the size comes before the path.
Outcome Call::hand_statfs64() {
  if (args_[1] != sizeof(i386::Statfs64)) return Error(EINVAL);
  return run(SYS_statfs, args_[0], out(kStatfs64, args_[2]));
}
Outcome Call::hand_fstatfs64() {
  if (args_[1] != sizeof(i386::Statfs64)) return Error(EINVAL);
  return run(SYS_fstatfs, args_[0], out(kStatfs64, args_[2]));
}

constexpr long kRecordMost = (sizeof(KernelDirent) + NAME_MAX + 1 + 7) & ~7;

Outcome Call::hand_getdents() {
  // A record of x86-64 that finds no room may have it as one of i386, which is smaller by at most
  // this much. Exactly one is read then: two would be larger by more.
  constexpr long kDifference = 12;
  const long room = args_[2];
  const long to = compat_.window(kDirents, args_[1], static_cast<size_t>(room));
  Outcome outcome = run(SYS_getdents64, args_[0], to, room);
  if (outcome.value() == -EINVAL && room < kRecordMost)
    outcome = run(SYS_getdents64, args_[0], to, room + kDifference);
  if (outcome.is_native() || outcome.value() <= 0) return outcome;
  return static_cast<long>(compat_.filled());
}

// One entry, and 1 for it; its count says nothing. Kernel counterpart: compat_sys_old_readdir().
Outcome Call::hand_readdir() {
  {
    BorrowedFd fd = TRY(real_.borrow(static_cast<int>(args_[0])));
    const Result<off_t> position = sys_lseek(fd.get(), 0, SEEK_CUR);
    if (position.ok())
      compat_.set_position(short_position(static_cast<uint64_t>(position.value())));
  }
  const long to = out(kOldDirent, args_[1]);
  // The first size that is enough has room for one only.
  constexpr long kRecordLeast = 24;
  for (long room = kRecordLeast; room <= kRecordMost; room += 8) {
    const Outcome outcome = run(SYS_getdents64, args_[0], to, room);
    if (outcome.is_native() || outcome.value() == 0) return outcome;
    if (outcome.value() > 0) return 1;
    if (outcome.value() != -EINVAL) return outcome;
  }
  return Error(EINVAL);
}

#define ARGUMENTS                                                                         \
  [[maybe_unused]] const long a0 = args_[0], a1 = args_[1], a2 = args_[2], a3 = args_[3], \
                              a4 = args_[4], a5 = args_[5]

// The calls behind socketcall(2), from what Call has of their own arguments.
#define I386_SOCKET(name, call, count, target, ...) \
  Outcome Call::socket_##name() {                   \
    ARGUMENTS;                                      \
    return run(SYS_##target, __VA_ARGS__);          \
  }
#include "launcher/supervisor/i386.def"

Outcome Call::hand_socketcall() {
  static constexpr struct {
    long call;
    size_t count;
    Outcome (Call::*run)();
  } kCalls[] = {
#define I386_SOCKET(name, call, count, target, ...) {call, count, &Call::socket_##name},
#include "launcher/supervisor/i386.def"
  };
  for (const auto& known : kCalls) {
    if (known.call != args_[0]) continue;
    uint32_t words[6];
    TRY(real_.copy_in(words, UserPtr<const void>(static_cast<uintptr_t>(args_[1])),
                      known.count * sizeof *words));
    long args[6] = {};
    for (size_t i = 0; i < known.count; i++) args[i] = words[i];
    Call call(real_, session_, args);
    return (call.*known.run)();
  }
  return Outcome::native();
}

Outcome Call::dispatch(long number) {
  ARGUMENTS;
  switch (number) {
#define I386_SAME(name, number, target) \
  case number:                          \
    return run_same(SYS_##target);
#define I386_CALL(name, number, target, ...) \
  case number:                               \
    return run(SYS_##target, __VA_ARGS__);
#define I386_HAND(name, number) \
  case number:                  \
    return hand_##name();
#define I386_REFUSE(name, number, target) \
  case number:                            \
    return run_same(SYS_##target);
#define I386_ABSENT(name, number) \
  case number:                    \
    return Error(ENOSYS);
#include "launcher/supervisor/i386.def"
    default:
      return Outcome::native();
  }
}

constexpr int kTrapped[] = {
#define I386_SAME(name, number, target) number,
#define I386_CALL(name, number, target, ...) number,
#define I386_HAND(name, number) number,
#define I386_REFUSE(name, number, target) number,
#define I386_ABSENT(name, number) number,
#include "launcher/supervisor/i386.def"
};

constexpr int kTrappedSocketcalls[] = {
#define I386_SOCKET(name, call, count, target, ...) call,
#include "launcher/supervisor/i386.def"
};

}  // namespace

Outcome dispatch_i386(Caller& caller, Session& session, long number, const long args[6]) {
  return Call(caller, session, args).dispatch(number);
}

std::span<const int> i386_trapped() { return kTrapped; }
std::span<const int> i386_trapped_socketcalls() { return kTrappedSocketcalls; }

}  // namespace ovl
