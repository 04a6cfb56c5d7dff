// Real paths longer than PATH_MAX: the kernel refuses to name them (getcwd(2), readlink of
// /proc/*/fd), so they are put together by climbing. Kernel counterpart: d_path(), without its
// limit.
#pragma once

#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/base/str.h"

namespace ovl {

// Names the directory behind a descriptor of this process. Errors: ENAMETOOLONG (a file, which has
// no ".."), ENOENT (removed),
// EACCES (a directory above can't be read), ELOOP (moved while climbing).
Result<CStr> deep_path(Arena& arena, int dirfd);

}  // namespace ovl
