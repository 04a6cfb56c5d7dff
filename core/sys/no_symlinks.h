// Opening what no symlink may lead away from: should another task have put one into an upper since
// the walk, it could lead to a lower.
#pragma once

#include "core/sys/sys.h"

namespace ovl {

// open(2) on a real path; ELOOP where any name of it is a symlink (before Linux 5.6: where the last
// one is). `mode` is for flags that create. O_CLOEXEC is added.
Result<UniqueFd> sys_open_no_symlinks(CStr real, int flags, mode_t mode = 0);

}  // namespace ovl
