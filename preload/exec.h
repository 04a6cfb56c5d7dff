// Executing programs, for the other interposers. Async-signal-safe; for vfork children.
#pragma once

namespace ovl {

// Both return only on failure, with -errno.
long exec_kernel_style(const char* path, char* const* argv, char* const* envp);
// execvpe(3): searches PATH of this process. What has no known format is a script for /bin/sh, or
// (posix_spawnp) an error.
enum class OnUnknownFormat { kShell, kFail };
long exec_search(const char* file, char* const* argv, char* const* envp,
                 OnUnknownFormat on_unknown);

}  // namespace ovl
