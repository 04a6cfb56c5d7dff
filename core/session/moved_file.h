// Where programs see a lower file that was renamed as a metacopy: a descriptor that was opened to
// read it is on the lower's file, and its real path tells nothing of the new name. A table of
// candidates, which the caller verifies by looking them up; noted when such a file is opened or
// renamed, so there is nothing to rebuild when a session starts. A file that has no room in it gets
// its data when it is opened.
#pragma once

#include "core/base/arena.h"
#include "core/session/session.h"

namespace ovl {

// Notes that the lower file at this real path shows at the virtual path `shown`. False: no room.
// May be called inside a Mutation and without.
bool moved_file_note(Session& session, Str real, Str shown);
// The candidate for a real path; empty: none.
CStr moved_file_at(const Session& session, Arena& arena, Str real);
// What was shown at `from` and below is shown at `to`.
void moved_file_rename(Session& session, Str from, Str to);
// Is there still plenty of room? Files that may never be opened are noted only then.
bool moved_file_has_plenty(const Session& session);

}  // namespace ovl
