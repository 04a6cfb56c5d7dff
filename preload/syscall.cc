// syscall(2): programs that are ahead of their libc. Six longs are read whatever the call takes,
// and passed on.
#include <stdarg.h>

#include "preload/call.h"
#include "preload/interposers.h"

namespace ovl {

long ip_syscall(long number, ...) {
  long a[6];
  va_list args;
  va_start(args, number);
  for (long& value : a) value = va_arg(args, long);
  va_end(args);
  if (Session* session = attached()) {
    PreloadCaller caller;
    Outcome outcome = dispatch(caller, *session, number, a);
    if (!outcome.is_native()) return libc_style(outcome.value());
  }
  return libc_style(gate_call(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

}  // namespace ovl
