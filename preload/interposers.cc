// The interposers that are one system call each: their bodies come from the table.
#include "preload/interposers.h"

#include "preload/call.h"

namespace ovl {
namespace {

UserPath P(const char* path) { return UserPath(path); }
UserBuf B(const void* memory) { return UserBuf(reinterpret_cast<uintptr_t>(memory)); }

template <class... Args>
long call_number(long number, Args... args) {
  long registers[6] = {
      (long)(args)...};  // NOLINT(google-readability-casting): pointers and integers
  if (Session* session = attached()) {
    PreloadCaller caller;
    Outcome outcome = dispatch(caller, *session, number, registers);
    if (!outcome.is_native()) return outcome.value();
  }
  return raw_call(number, args...);
}

}  // namespace

#define IP(ret, name, params, op, ...) \
  ret ip_##name params { return static_cast<ret>(libc_style(OVL_CALL(op, __VA_ARGS__))); }
#define IP_NUMBER(ret, name, params, nr, ...) \
  ret ip_##name params { return static_cast<ret>(libc_style(call_number(nr, __VA_ARGS__))); }
#define IP_HAND(ret, name, params)
#define IP_ALIAS(name, target)
#include "preload/interposers.def"

}  // namespace ovl
