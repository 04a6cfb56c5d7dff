// What the file systems tell a new session before its first program runs: the root of a fresh
// upper, the list of moved directories, and who reads what.
#pragma once

#include <string>

#include "core/format/xattr_format.h"
#include "core/session/session.h"
#include "launcher/session/plan.h"

namespace ovl {

// Requires: the segment stands in `session_file`, the locks are held. Throws Failure.
void fill_session(const Plan& plan, XattrPrefix prefix, const std::string& session_file);

// What the command is given to read by whoever started this process may be changed in the session.
void note_inherited_files(Session& session);

}  // namespace ovl
