// ovlrun --join: a command more in a session that is running. Its own front, supervisor and keeper
// serve it; layers, caches and locks are those of the session, which lasts until the last of its
// commands is gone.
//
// Who joins holds flock(2) shared on "<work>/ovlrun/joined", from before it looks whether the
// session is there until its last descendant is gone. The session's own keeper takes it exclusively
// before it ends the session, and waits for that.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "launcher/options.h"
#include "launcher/run/intercept.h"
#include "launcher/session/plan.h"
#include "launcher/session/start.h"

namespace ovl {

// The file that joiners hold.
std::string joined_file(const std::string& work);

// What --join names: the session's first upper and its workdir. Throws Failure: there is none.
Plan plan_join(const RunOptions& options);

class JoinedSession final : public HeldSession {
 public:
  // Throws Failure: no session is running there, or it can't be joined from here.
  explicit JoinedSession(const Plan& plan);

  const std::string& file() const override { return file_; }
  std::vector<int> descriptors() const override;
  void end() override {}  // its keeper does it

  // How its calls come to the overlay, as options of the command that joins.
  RunOptions with_its_ways(const RunOptions& options) const;

 private:
  std::string file_;
  UniqueFd joined_, upper_;
  bool preload_, supervised_, strict_;
};

}  // namespace ovl
