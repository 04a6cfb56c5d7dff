// Errors of writing to a session's uppers: what the session's programs met, and what the kernel
// tells a descriptor that was open from the start.
#pragma once

#include <stdint.h>

#include <array>
#include <string>

#include "core/session/session.h"

namespace ovl {

// By a session's own overlays: 0, or an errno.
using UpperErrors = std::array<uint8_t, kMaxOverlays>;
inline bool any(const UpperErrors& errors) { return errors != UpperErrors{}; }

// "upper DIR: write-back error EIO: discard this upper"
std::string upper_error_text(const std::string& upper, int error);

// An error that an earlier session left and told nobody, in "<work>/ovlrun/error" or, when it was
// killed, in its segment (which only the outermost session can read). 0: none.
int untold_error(const std::string& upper, const std::string& work, bool outermost);
// Best effort: the disk may be what has failed.
void keep_untold_error(const std::string& work, int error);
void forget_untold_error(const std::string& work);

}  // namespace ovl
