// The session's list of moved directories: which lower directory a redirect shows somewhere else. A
// cache, rebuilt by the launcher from the redirects in the upper; looked at only when it isn't
// empty. It answers "where do programs see the lower directory /a/b", for a cwd or descriptor that
// stands in it.
#pragma once

#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/layer/layer.h"
#include "core/session/session.h"

namespace ovl {

// Records that lower path `lower` (relative to the lower roots, "/a/b") now shows at `shown`
// (relative to the overlay's root). Replaces an entry with the same `shown`. Requires: Mutation
// exclusive, or a session not yet started. ENOSPC: full.
Result<void> moved_add(Session& session, const Overlay& overlay, Str lower, Str shown);
// The shown directory `from` is called `to` now: entries at and below it follow. Requires: Mutation
// exclusive.
Result<void> moved_rename(Session& session, const Overlay& overlay, Str from, Str to);
// What was shown at `shown` (and below) is gone. Requires: Mutation exclusive.
void moved_remove(Session& session, const Overlay& overlay, Str shown);
// Candidates for where lower path `lower` shows, one per call while *cursor advances (start with
// 0); empty data() at the end. The caller verifies each by looking it up. Takes no lock: reads a
// consistent entry or none.
CStr moved_candidate(Session& session, const Overlay& overlay, Arena& arena, Str lower,
                     uint32_t* cursor);

}  // namespace ovl
