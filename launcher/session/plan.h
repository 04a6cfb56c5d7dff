// What a session is going to be, worked out and checked before anything is touched: canonical
// paths, their geometry, and what stands in the upper and the workdir already.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "launcher/options.h"
#include "launcher/session/around.h"

namespace ovl {

struct PlannedOverlay {
  std::string at;  // canonical, as the rest
  std::vector<std::string> lowers, data_lowers;
  std::string upper;
  std::string work;
  std::vector<std::string> roots;  // what identifies those of the lowers, and of the upper
  std::string upper_root;
  bool own_upper = false;    // made up below the state directory: named at the end
  bool fresh_upper = false;  // missing or empty, and no session has used it: its root becomes a
                             // copy of the lower's
};

struct Plan {
  std::vector<PlannedOverlay> overlays;
  std::vector<std::string> excludes;  // virtual paths
  std::string preload;                // the preload object
  std::shared_ptr<Around> around;     // nullptr: the session is the outermost
};

// What a plan is for: a session, or a look at what an upper holds, whatever that is.
enum class PlanFor : uint8_t { kSession, kLook };

// Throws Failure for everything that can't work. Touches nothing. `around`: what this process is
// in; paths are as programs there see them.
Plan make_plan(const RunOptions& options, std::shared_ptr<Around> around,
               PlanFor what = PlanFor::kSession);

// --- names that a session gives, shared with `ovlrun diff` ---
std::string session_dir(const std::string& work);  // "<work>/ovlrun"
std::string state_dir();                           // "${XDG_STATE_HOME:-~/.local/state}/ovlrun"
std::string default_work(const std::string& upper);
std::string canonical(const std::string& path);  // what is missing at the end stays as it is

constexpr int kFormatVersion = 1;                 // in "<work>/ovlrun/format"
constexpr const char kIncompatName[] = "ovlrun";  // in "<work>/work/incompat"

}  // namespace ovl
