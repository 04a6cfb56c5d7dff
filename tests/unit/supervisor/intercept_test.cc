// Which ways are chosen for which options, where there can be a supervisor and where there can't.
#include "launcher/run/intercept.h"

#include <gtest/gtest.h>

#include "launcher/failure.h"

namespace ovl {
namespace {

std::vector<std::string> nothing() { return {}; }
std::vector<std::string> something() { return {"a reason"}; }

constexpr Ways kPreloadAlone = {true, false}, kSupervisorAlone = {false, true},
               kBothWays = {true, true};

struct Case {
  Intercept intercept;
  bool strict;
  std::vector<std::string> (*missing)();
  std::optional<Ways> chosen;  // nothing: it gives up
};
const Case kCases[] = {
    {Intercept::kAuto, false, nothing, kBothWays},
    {Intercept::kAuto, false, something, kPreloadAlone},
    {Intercept::kPreload, false, something, kPreloadAlone},
    {Intercept::kSeccomp, false, nothing, kSupervisorAlone},
    {Intercept::kSeccomp, false, something, {}},
    {Intercept::kBoth, false, nothing, kBothWays},
    {Intercept::kBoth, false, something, {}},
    {Intercept::kAuto, true, nothing, kSupervisorAlone},
    {Intercept::kAuto, true, something, {}},
    {Intercept::kSeccomp, true, nothing, kSupervisorAlone},
    {Intercept::kSeccomp, true, something, {}},
    {Intercept::kPreload, true, nothing, {}},
    {Intercept::kBoth, true, nothing, {}},
};

TEST(Intercept, WhatIsWantedIsChosenWhereNothingIsMissing) {
  for (const Case& c : kCases) {
    if (!c.chosen || c.missing == something) continue;
    SCOPED_TRACE(&c - kCases);
    RunOptions options;
    options.intercept = c.intercept;
    options.strict = c.strict;
    EXPECT_EQ(wanted_ways(options).preload, c.chosen->preload);
    EXPECT_EQ(wanted_ways(options).supervisor, c.chosen->supervisor);
  }
}

TEST(Intercept, WhatIsChosen) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(&c - kCases);
    RunOptions options;
    options.intercept = c.intercept;
    options.strict = c.strict;
    if (!c.chosen) {
      EXPECT_THROW(choose_ways(options, c.missing()), Failure);
      continue;
    }
    const Ways ways = choose_ways(options, c.missing());
    EXPECT_EQ(ways.preload, c.chosen->preload);
    EXPECT_EQ(ways.supervisor, c.chosen->supervisor);
  }
}

}  // namespace
}  // namespace ovl
