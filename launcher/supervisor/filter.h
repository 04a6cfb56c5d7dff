// The seccomp filter of everything below ovlrun: which calls the kernel hands to the supervisor,
// which it refuses by itself, and which it lets pass. Made from core/ops/ops.def, mostly when
// ovlrun is built.
//
//   a call in the table as an operation   the supervisor, unless it comes from the gate page,
//                                         carries the pass, or is the dynamic loader's fstat
//   a call that goes past the overlay     the table's errno
//   a number newer than all known ones    ENOSYS: it may take a path
//   x32, unknown architectures            ENOSYS; i386 too, unless it is asked for
//   anything else                         passes. Only architecture and number are looked at, so
//   that
//                                         the kernel finds it out once and then asks a bitmap alone
//                                         (seccomp_is_const_allow() in kernel/seccomp.c)
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "launcher/supervisor/loader.h"

namespace ovl {

struct FilterOptions {
  // Do calls from the gate page (core/sys/gate.h) pass?
  bool gate;
  // Are calls of 32-bit programs handed to the supervisor? Otherwise they get ENOSYS.
  bool i386;
  // Are changes of credentials handed to the supervisor (which only looks on)? Needed where it has
  // more rights than a task can give itself: as root.
  bool credentials;
  // The pass: calls of the table whose args[4] and args[5] have these low halves are let through.
  // Secret and random; {0, 0} means that there is none.
  uint32_t pass[2];
  // Do tasks stay readable when they ask not to be (PR_SET_DUMPABLE)? They are told that it is
  // done. Needed where the supervisor may not read such a task: anywhere but as root.
  bool readable = false;
  // The dynamic loader's fstat passes.
  std::optional<LoaderCall> loader = std::nullopt;
  // Is an upper volatile? Then what writes to the disk without a descriptor of a directory (msync,
  // sync_file_range, sync) is handed over too.
  bool is_volatile = false;
};

// Depends on the options alone, not on what the running kernel can do. Throws Failure.
std::vector<sock_filter> make_filter(const FilterOptions& options);

// Is it one of those calls (FilterOptions::credentials)?
bool changes_credentials(const seccomp_data& call);

// In the task that is to have it, with no_new_privs set (or CAP_SYS_ADMIN). Returns the listener's
// descriptor, close-on-exec. Where the kernel has it, a call that the supervisor has begun with is
// no longer interrupted by signals that don't kill (WAIT_KILLABLE_RECV, Linux 5.19).
// Errors: EBUSY (an outer filter has a listener: there is one per chain), EACCES (no_new_privs is
// not set), EINVAL (a kernel without notifications), ENOSYS, and what an outer filter gives.
Result<UniqueFd> install_filter(const std::vector<sock_filter>& filter);

}  // namespace ovl
