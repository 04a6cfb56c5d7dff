// ovlrun settle: makes an upper portable.
#include <sys/stat.h>

#include <filesystem>

#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/session/identity.h"
#include "launcher/session/plan.h"
#include "launcher/session/start.h"
#include "launcher/upper/held.h"
#include "launcher/upper/settle.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

bool same_directory(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || fs::equivalent(a, b, error);
}

// Other lowers than the upper was made over would be copied from without a word.
void check_lowers(const std::vector<std::string>& lowers, const std::vector<std::string>& before,
                  const NamedUpper& named) {
  bool same = lowers.size() == before.size();
  for (size_t i = 0; same && i < lowers.size(); i++) same = same_directory(lowers[i], before[i]);
  if (same) return;
  std::string names;
  for (const std::string& lower : before) names += (names.empty() ? "" : ":") + lower;
  fail(
      "--lower: the last session of --upper {} had {}; if that was moved, run a session over it "
      "first",
      quote(named.upper), quote(names));
}

// The plan of a session over it has all checks of what is given.
PlannedOverlay planned(const SettleOptions& options, const NamedUpper& named) {
  RunOptions run;
  PairOptions pair = options.pair;
  pair.upper = named.upper;
  pair.work = named.work;
  if (pair.lowers.empty()) {
    if (!named.recorded)
      fail("settle: no session is recorded in {}: give --lower, or --work", quote(named.work));
    pair.lowers = named.recorded->lowers;
    pair.data_lowers = named.recorded->data_lowers;
    if (!pair.at) pair.at = named.recorded->at;
  }
  // Where it is shown is only for messages.
  if (!pair.at && pair.lowers.size() > 1)
    pair.at = named.recorded ? named.recorded->at : pair.lowers[0];
  run.pairs.push_back(pair);
  run.prefix = options.prefix_given || !named.recorded ? options.prefix : named.recorded->prefix;
  PlannedOverlay overlay = make_plan(run, nullptr).overlays[0];
  if (named.recorded) {
    check_lowers(overlay.lowers, named.recorded->lowers, named);
    check_lowers(overlay.data_lowers, named.recorded->data_lowers, named);
    if (const std::string other = other_layers(overlay, *named.recorded); !other.empty())
      fail("settle: {}; if it does fit, run a session over it first", other);
  }
  return overlay;
}

}  // namespace

int settle_main(const SettleOptions& options) {
  const NamedUpper named = named_upper("settle", options.pair.upper, options.pair.work);
  const PlannedOverlay overlay = planned(options, named);
  const XattrPrefix prefix =
      options.prefix_given || !named.recorded ? options.prefix : named.recorded->prefix;
  const HeldUpper held(named, prefix);
  Created created;
  created.make_dirs(overlay.work + "/work", "--work");
  created.keep();
  open_work(overlay.work);
  Progress progress("settle", options.verbose);
  settle({overlay.at, overlay.upper, overlay.work, overlay.lowers, prefix, overlay.data_lowers},
         progress);
  return 0;
}

}  // namespace ovl
