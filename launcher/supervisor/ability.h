// What the supervisor needs of the kernel and of the place that ovlrun runs in. It is tried out on
// the child that is to become the command, since nothing else tells what kernel, container
// profiles, outer filters, security modules and name spaces allow together.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace ovl {

// In the child, which has the filter: the call that try_supervision() waits for. It fails.
void make_probe_call();

// `listener`: of the child that makes that call, or why there is none. Returns one line for each
// thing that can't be had here; empty: there can be a supervisor. The child goes on as if nothing
// had been. Requires: the caller's descriptors are the child's too; the child blocks all signals.
std::vector<std::string> try_supervision(const Result<int>& listener, pid_t child);

}  // namespace ovl
