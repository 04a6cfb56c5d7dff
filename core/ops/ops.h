// The operations: each is one system call, as the kernel's overlayfs would answer it. An op is copy in -> resolve -> act, has no
// layer logic of its own, and never asks which kind of caller it serves. Errors are the man page's.
#pragma once

#include "core/caller/caller.h"
#include "core/caller/op.h"

namespace ovl {

#define OVL_OP(name, status, ...) Outcome op_##name(Op& op, __VA_ARGS__);
#define OVL_LEGACY(name, target, ...)
#define OVL_NATIVE(name, why)
#define OVL_REFUSE(name, code, why)
#include "core/ops/ops.def"
#undef OVL_OP
#undef OVL_LEGACY
#undef OVL_NATIVE
#undef OVL_REFUSE

// By number, with the six argument registers as they are. A number that is in no table is native.
Outcome dispatch(Caller& caller, Session& session, long number, const long args[6]);

// For the front ends that have typed arguments: run_op<op_mkdirat>(caller, session, dirfd, path, mode).
template <auto op_function, class... Args>
inline Outcome run_op(Caller& caller, Session& session, Args... args) {
  Op op(caller, session);
  return op_function(op, args...);
}

}  // namespace ovl
