// Directory streams for the other interposers.
#pragma once

#include <dirent.h>

namespace ovl {

// opendir(3) relative to a directory descriptor. nullptr and errno on failure.
DIR* open_directory_at(int dirfd, const char* path);

}  // namespace ovl
