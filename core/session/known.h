// Directories of lowers that are known to be directories: spares a walk one lstat per component
// that it only passes. The one part of the path cache that needs no invalidation, since the lower
// does not change while in use.
#pragma once

#include "core/base/str.h"
#include "core/session/segment.h"

namespace ovl {

// `real`: path of a lower's directory. False: not known (or too long for the table).
bool is_known_directory(const Segment& segment, Str real);
void remember_directory(Segment& segment, Str real);

}  // namespace ovl
