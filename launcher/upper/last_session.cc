// See last_session.h.
#include "launcher/upper/last_session.h"

#include <filesystem>

#include "launcher/failure.h"
#include "launcher/session/identity.h"

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

}  // namespace

// The plan of a session over it has all checks of what is given.
LastSession last_session(const NamedUpper& named, PairOptions pair,
                         std::optional<XattrPrefix> prefix, PlanFor what) {
  LastSession last;
  last.prefix = prefix ? *prefix : named.recorded ? named.recorded->prefix : XattrPrefix::kUser;
  pair.upper = named.upper;
  pair.work = named.work;
  if (pair.lowers.empty()) {
    if (!named.recorded)
      fail("{}: no session is recorded in {}: give --lower, or --work", named.command,
           quote(named.work));
    pair.lowers = named.recorded->lowers;
    pair.data_lowers = named.recorded->data_lowers;
    if (!pair.at) pair.at = named.recorded->at;
  }
  // Where it is shown is only for messages.
  if (!pair.at && pair.lowers.size() > 1)
    pair.at = named.recorded ? named.recorded->at : pair.lowers[0];
  RunOptions run;
  run.pairs.push_back(std::move(pair));
  run.prefix = last.prefix;
  last.overlay = make_plan(run, nullptr, what).overlays[0];
  if (named.recorded) {
    check_lowers(last.overlay.lowers, named.recorded->lowers, named);
    check_lowers(last.overlay.data_lowers, named.recorded->data_lowers, named);
    last.other_layers = other_layers(last.overlay, *named.recorded);
    last.other_upper = !same_directory(last.overlay.upper, named.recorded->upper) &&
                       !may_be_same_root(last.overlay.upper_root, named.recorded->upper_root);
  }
  return last;
}

}  // namespace ovl
