// The operations: each is one system call, as the kernel's overlayfs would answer it. An op is copy
// in -> resolve -> act, has no layer logic of its own, and never asks which kind of caller it
// serves. Errors are the man page's.
#pragma once

#include "core/caller/caller.h"
#include "core/caller/op.h"
#include "core/trace/trace.h"

namespace ovl {

#define OVL_OP(name, status, ...) Outcome op_##name(Op& op __VA_OPT__(, ) __VA_ARGS__);
#include "core/ops/ops.def"

// A system call as it is made: number and argument registers.
struct RawCall {
  long number;
  long args[6];
};
// An older spelling (OVL_LEGACY) as the operation that it is one of; any other call as it is.
RawCall newest_spelling(long number, const long args[6]);

// By number, with the six argument registers as they are. A number that is in no table is native.
Outcome dispatch(Caller& caller, Session& session, long number, const long args[6]);

// The system call's number of an operation: number_of<&op_mkdirat>.
template <auto op_function>
inline constexpr long number_of = -1;
#define OVL_OP(name, status, ...) \
  template <>                     \
  inline constexpr long number_of<&op_##name> = SYS_##name;
#include "core/ops/ops.def"

// The operation, counted and recorded when the session wants that.
template <auto op_function, class... Args>
inline Outcome watched(Op& op, Args... args) {
  const uint8_t watch = op.session().segment().watch;
  if (watch == 0) [[likely]]
    return op_function(op, args...);
  if ((watch & kWatchCount) != 0) op.session().count(Counter::kOps);
  if ((watch & kWatchTrace) == 0) return op_function(op, args...);
  constexpr long number = number_of<op_function>;
  TracePaths paths;
  (paths.see(args), ...);
  TracedCall traced(op, number, paths);
  if (number == SYS_execve || number == SYS_execveat || traced.runs_on()) traced.record(nullptr);
  const Outcome outcome = op_function(op, args...);
  traced.record(&outcome);
  return outcome;
}

// For the front ends that have typed arguments: run_op<op_mkdirat>(caller, session, dirfd, path,
// mode).
template <auto op_function, class... Args>
inline Outcome run_op(Caller& caller, Session& session, Args... args) {
  Op op(caller, session);
  return watched<op_function>(op, args...);
}

}  // namespace ovl
