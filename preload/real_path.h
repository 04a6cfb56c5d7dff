// Where an object really is, for what only libc or the loader can do with it.
#pragma once

#include "core/caller/op.h"

namespace ovl {

// The real path of the file's data (or of the directory) that `path` names: `path` itself where the
// kernel's own view is right. It is good for reading, at this moment. walk_flags: of walk(). The
// result lives as long as the op. Errors: as walk_existing().
Result<CStr> real_path(Op& op, const char* path, unsigned walk_flags);

}  // namespace ovl
