// Executing programs, for the other interposers. Async-signal-safe; for vfork children.
#pragma once

namespace ovl {

// Both return only on failure, with -errno.
long exec_kernel_style(const char* path, char* const* argv, char* const* envp);
// execvpe(3): searches PATH of this process, and hands what has no known format to /bin/sh.
long exec_search(const char* file, char* const* argv, char* const* envp);

}  // namespace ovl
