// The overlay that an upper was part of in its last session, for commands that go on with it.
#pragma once

#include <optional>
#include <string>

#include "launcher/options.h"
#include "launcher/session/plan.h"
#include "launcher/upper/held.h"

namespace ovl {

struct LastSession {
  PlannedOverlay overlay;
  XattrPrefix prefix;
  std::string other_layers;  // in what the lowers are not those of then; empty: in nothing
  bool other_upper = false;  // the workdir is that of another upper, or was copied with its own
};

// What is not given is as it was then. Throws Failure for what can't be, and where other lowers are
// given than were recorded.
LastSession last_session(const NamedUpper& named, PairOptions pair,
                         std::optional<XattrPrefix> prefix, PlanFor what);

}  // namespace ovl
