// posix_spawn for the other interposers.
#pragma once

#include <spawn.h>

namespace ovl {

enum class Search { kPath /* as execvp */, kNo };

// Returns 0 or a positive errno, as posix_spawn(3). attributes and actions may be nullptr.
int spawn(pid_t* pid, const char* file, Search search, const posix_spawn_file_actions_t* actions,
          const posix_spawnattr_t* attributes, char* const* argv, char* const* envp);

}  // namespace ovl
