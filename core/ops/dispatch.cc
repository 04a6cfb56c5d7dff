// From a system call's number and registers to its op. See ops.def.
#include <fcntl.h>

#include "core/ops/ops.h"

namespace ovl {
namespace {

// A register becomes the parameter's type.
template <class T>
struct FromRegister {
  static T get(long value) { return static_cast<T>(value); }
};
template <class T>
struct FromRegister<UserPtr<T>> {
  static UserPtr<T> get(long value) { return UserPtr<T>(static_cast<uintptr_t>(value)); }
};

// Calls op_function with its parameters from the registers.
template <auto op_function>
struct FromRegisters;
template <class... Params, Outcome (*op_function)(Op&, Params...)>
struct FromRegisters<op_function> {
  template <size_t... I>
  static Outcome call(Op& op, const long* args, std::index_sequence<I...>) {
    return watched<op_function>(op, FromRegister<Params>::get(args[I])...);
  }
  static Outcome call(Op& op, const long* args) {
    return call(op, args, std::index_sequence_for<Params...>{});
  }
};

}  // namespace

RawCall newest_spelling(long number, const long args[6]) {
  [[maybe_unused]] const long a0 = args[0], a1 = args[1], a2 = args[2], a3 = args[3];
  switch (number) {
#define OVL_LEGACY(name, target, ...) \
  case SYS_##name:                    \
    return {SYS_##target, {__VA_ARGS__}};
#include "core/ops/ops.def"
    default:
      return {number, {args[0], args[1], args[2], args[3], args[4], args[5]}};
  }
}

Outcome dispatch(Caller& caller, Session& session, long number, const long args[6]) {
  const RawCall call = newest_spelling(number, args);
  switch (call.number) {
#define OVL_OP(name, status, ...)                          \
  case SYS_##name: {                                       \
    Op op(caller, session);                                \
    return FromRegisters<&op_##name>::call(op, call.args); \
  }
#define OVL_REFUSE(name, code, why) \
  case SYS_##name:                  \
    return Error(code);
#include "core/ops/ops.def"
    default:
      return Outcome::native();
  }
}

}  // namespace ovl
