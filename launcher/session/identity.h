// What tells the root of a layer from other directories, from session to session: an upper fits the
// lowers that it was made over. Kernel counterpart: ovl_verify_origin(), which with an index
// refuses another lower (ESTALE), and ovl_verify_upper().
#pragma once

#include <string>

#include "launcher/session/config.h"
#include "launcher/session/plan.h"

namespace ovl {

// By its file handle and the UUID of its file system; by its inode number where there is no handle;
// empty: nothing tells. `inner`: the directory is one of a session around.
std::string root_identity(const std::string& dir, bool inner);

// False only if both are known and can't be of the same directory.
bool may_be_same_root(const std::string& a, const std::string& b);

// One line about what is not as it was in the last session of the upper; empty: all is, as far as
// can be told.
std::string other_layers(const PlannedOverlay& overlay, const RecordedConfig& recorded);

}  // namespace ovl
