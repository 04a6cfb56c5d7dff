// The bytes of a file, with its holes. Kernel counterpart: ovl_copy_up_file().
#pragma once

#include "core/copy_up/copy_up.h"

namespace ovl {

// Opens the real file of a lower for reading, leaving its access time alone where the user may.
Result<UniqueFd> open_lower(CStr real);
// By F_GETFL: is it open_lower()'s, of a copy that some thread is making? No program has use for
// these flags on what it only reads.
bool is_of_copy_up(int flags);

// Makes `out` (empty, or of any content that may be overwritten) hold the same `size` bytes as
// `in`: by reflink, else copied in the kernel, else by hand; holes stay holes. Then waits until
// they are on disk, unless the overlay is volatile. Errors: ENOSPC, EIO, EDQUOT ...
Result<void> copy_data(Op& op, const Overlay& overlay, int in, int out, uint64_t size);

// Before that many bytes are written, or a file is given that size: may this process write so large
// a file? The limit is the program's, and the copy not its own. Errors: that of
// Caller::too_large_for_this_process(). Without a supervisor the kernel's SIGXFSZ and EFBIG come by
// themselves, as they do below the kernel's overlayfs.
Result<void> may_write(Op& op, uint64_t size);

}  // namespace ovl
