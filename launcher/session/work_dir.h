// A workdir and its upper, made ready for a session.
#pragma once

#include <string>

#include "core/format/xattr_format.h"
#include "launcher/session/created.h"
#include "launcher/session/plan.h"

namespace ovl {

// Sees to it that "<work>/work", which the kernel leaves with mode 000, is this user's to use.
// Throws Failure.
void open_work(const std::string& work);

// Can files and directories of the upper have the xattrs that the format needs? Throws Failure.
void probe_xattrs(const PlannedOverlay& o, XattrPrefix prefix);

// Can whiteouts be devices there? Leaves the one that all others are links to.
bool have_whiteout(const PlannedOverlay& o, Created& created);

}  // namespace ovl
