// System calls of this process made as i386 ones, for the few that the kernel answers otherwise
// then: file systems tell shorter positions, and O_LARGEFILE is not added. Requires: the kernel
// takes such calls, which it does when it has handed one over.
#pragma once

#include <stddef.h>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace ovl::i386 {

// getdents64(2), with positions of 31 bits where the file system has longer ones (ext4's hashes).
Result<size_t> getdents64(int fd, void* out, size_t size);

// Opens the file behind a descriptor once more with the same flags, but without O_LARGEFILE, for
// this process. Errors: as open(2), EACCES where only the descriptor gives access.
Result<UniqueFd> open_without_large_file(int fd);

}  // namespace ovl::i386
