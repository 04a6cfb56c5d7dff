// A copy of an upper for the kernel's overlayfs as root mounts it: the marks as trusted.overlay.*,
// and what was recorded beside objects for want of privilege made real.
#pragma once

#include <string>

#include "launcher/upper/progress.h"

namespace ovl {

// Fills `to`, an empty directory, and `to_work`, another one, with the index of the workdir, if
// that is to be kept; it is empty otherwise. Requires: root; the upper is held. Throws Failure,
// also for what is unknown here: it would not mean the same there.
void copy_trusted(const std::string& upper, const std::string& work, const std::string& to,
                  const std::string& to_work, Progress& progress);

}  // namespace ovl
