// syscall(2): programs that are ahead of their libc. Six longs are read whatever the call takes,
// and passed on. And prctl(2), for what both may do: give the program a filter of its own.
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "preload/call.h"
#include "preload/interposers.h"

namespace ovl {
namespace {

constexpr long kNewestKnown = SYS_file_setattr;

bool sets_filter(long option, long mode) {
  return option == PR_SET_SECCOMP && (mode == SECCOMP_MODE_FILTER || mode == SECCOMP_MODE_STRICT);
}

void make_room_for_filter() {
  local_stop_following();
  step_aside();
}

}  // namespace

long ip_syscall(long number, ...) {
  long a[6];
  va_list args;
  va_start(args, number);
  for (long& value : a) value = va_arg(args, long);
  va_end(args);
  if (number == SYS_seccomp && (a[0] == SECCOMP_SET_MODE_FILTER || a[0] == SECCOMP_SET_MODE_STRICT))
    make_room_for_filter();
  if (number == SYS_prctl && sets_filter(a[0], a[1])) make_room_for_filter();
  if (Session* session = attached()) {
    follow_if_stale(*session);
    PreloadCaller caller;
    Outcome outcome = dispatch(caller, *session, number, a);
    if (is_for_supervisor(*session, outcome))
      return libc_style(ovl_gate_call(number, a[0], a[1], a[2], a[3], a[4], a[5]));
    if (!outcome.is_native()) return libc_style(outcome.value());
  }
  // What isn't known to be harmless is for the filter to decide.
  const auto call = number <= kNewestKnown ? gate_call : ovl_gate_call;
  return libc_style(call(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

int ip_prctl(int option, ...) {
  long a[4];
  va_list args;
  va_start(args, option);
  for (long& value : a) value = va_arg(args, long);
  va_end(args);
  if (sets_filter(option, a[0])) make_room_for_filter();
  return static_cast<int>(libc_style(raw_call(SYS_prctl, option, a[0], a[1], a[2], a[3])));
}

}  // namespace ovl
