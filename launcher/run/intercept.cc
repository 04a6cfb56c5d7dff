// See intercept.h.
#include "launcher/run/intercept.h"

#include "launcher/failure.h"

namespace ovl {
namespace {

Intercept wanted(const RunOptions& options) {
  if (!options.strict) return options.intercept;
  if (options.intercept != Intercept::kAuto && options.intercept != Intercept::kSeccomp)
    fail("--strict is the supervisor alone: it contradicts --intercept=preload and =both");
  if (options.allow_uncovered) fail("--strict contradicts --allow-uncovered");
  return Intercept::kSeccomp;
}

void say(const RunOptions& options, const char* what) {
  if (options.verbose) complain(fmt::format("intercept: {}", what));
}

}  // namespace

Ways wanted_ways(const RunOptions& options) {
  const Intercept want = wanted(options);
  return {want != Intercept::kSeccomp, want != Intercept::kPreload};
}

Ways choose_ways(const RunOptions& options, const std::vector<std::string>& missing) {
  const Intercept want = wanted(options);
  if (want == Intercept::kPreload) {
    say(options, "the preload alone, as asked");
    return {true, false};
  }
  for (const std::string& line : missing) complain("no supervisor: " + line);
  if (missing.empty()) {
    say(options, options.strict                ? "the supervisor alone, no exceptions (--strict)"
                 : want == Intercept::kSeccomp ? "the supervisor alone, as asked"
                 : want == Intercept::kBoth    ? "the preload and the supervisor, as asked"
                                               : "the preload, and the supervisor for what the "
                                                 "preload does not see: all of it is possible here");
    return wanted_ways(options);
  }
  if (want != Intercept::kAuto)
    fail("{} is not possible here", options.strict                ? "--strict"
                                    : want == Intercept::kSeccomp ? "--intercept=seccomp"
                                                                  : "--intercept=both");
  complain(
      options.allow_uncovered
          ? "going on with the preload alone: programs that it can't follow (static ones, other "
            "C libraries) run without the overlay"
          : "going on with the preload alone: programs that it can't follow (static ones, other "
            "C libraries) are refused");
  say(options, "the preload alone, since there is no supervisor");
  return {true, false};
}

}  // namespace ovl
