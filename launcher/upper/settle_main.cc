// ovlrun settle: makes an upper portable.
#include <optional>

#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/session/work_dir.h"
#include "launcher/upper/held.h"
#include "launcher/upper/last_session.h"
#include "launcher/upper/settle.h"

namespace ovl {

int settle_main(const SettleOptions& options) {
  const NamedUpper named = named_upper("settle", options.pair.upper, options.pair.work);
  const auto prefix = options.prefix_given ? std::optional(options.prefix) : std::nullopt;
  const LastSession last = last_session(named, options.pair, prefix, PlanFor::kSession);
  if (!last.other_layers.empty())
    fail("settle: {}; if it does fit, run a session over it first", last.other_layers);
  const PlannedOverlay& overlay = last.overlay;
  const HeldUpper held(named, last.prefix);
  Created created;
  created.make_dirs(overlay.work + "/work", "--work");
  created.keep();
  open_work(overlay.work);
  Progress progress("settle", options.verbose);
  settle(
      {overlay.at, overlay.upper, overlay.work, overlay.lowers, last.prefix, overlay.data_lowers},
      progress);
  return 0;
}

}  // namespace ovl
