// Messages with a descriptor in them (SCM_RIGHTS), over a socket that keeps them apart.
#pragma once

#include <sys/types.h>

#include "core/base/unique_fd.h"

namespace ovl {

// Sends a copy of the descriptor too, unless it is negative. False, with errno: it was not sent.
bool send_with_descriptor(int socket, const void* data, size_t size, int fd);
// *fd: the descriptor that came with it, closed on exec; not valid: there was none. As recv(2), but
// for EINTR.
ssize_t receive_with_descriptor(int socket, void* data, size_t size, UniqueFd* fd);

}  // namespace ovl
