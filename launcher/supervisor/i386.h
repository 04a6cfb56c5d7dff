// 32-bit programs: an i386 system call becomes an operation of the core. Which ones, and how, is in
// i386.def.
#pragma once

#include <span>

#include "core/caller/caller.h"
#include "core/session/session.h"

namespace ovl {

// As ovl::dispatch(), for a caller that made an i386 system call (AUDIT_ARCH_I386), whatever kind
// of program it is. `args` are the registers as the notification has them: the kernel takes their
// lower halves. `caller` is a Caller as for any other call: raw(), execute() and open_for_caller()
// get calls of x86-64, and structures of this process in its own layout. What these point at in the
// caller's memory (a message's vectors and control data) keeps the i386 layout.
Outcome dispatch_i386(Caller& caller, Session& session, long number, const long args[6]);

// The numbers that it takes part in; those that it refuses among them.
std::span<const int> i386_trapped();
// What socketcall(2), which is one of them, is to be trapped for: values of its first argument.
std::span<const int> i386_trapped_socketcalls();

}  // namespace ovl
