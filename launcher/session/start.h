// Makes a planned session real: directories, locks, the segment. Undone when it fails half-way.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/session/session.h"
#include "launcher/options.h"
#include "launcher/run/intercept.h"
#include "launcher/session/lock.h"
#include "launcher/session/plan.h"

namespace ovl {

// The session of a keeper: one that it has started, or joined (join.h).
class HeldSession {
 public:
  virtual ~HeldSession() = default;
  virtual const std::string& file() const = 0;       // for the core and the environment
  virtual std::vector<int> descriptors() const = 0;  // of the locks
  // Of a session inside another one: tells the supervisor whose descendants it serves. Requires:
  // this process is the keeper. Throws Failure.
  virtual void show_to_supervisor(pid_t) {}
  // Are there other keepers' commands in it? Then it goes on until they are gone.
  virtual bool is_joined() const { return false; }
  virtual void wait_until_left() {}
  // Removes what only the live session needs.
  virtual void end() = 0;
};

class RunningSession final : public HeldSession {
 public:
  // Throws Failure; nothing is left behind then. Requires: the process lives as long as the
  // session.
  RunningSession(const Plan& plan, const RunOptions& options, const Ways& ways);

  const std::string& file() const override { return real_file_; }
  std::vector<int> descriptors() const override;
  void show_to_supervisor(pid_t front) override;
  bool is_joined() const override;
  void wait_until_left() override;
  void end() override;

 private:
  void leave_around() const;
  void clean_kept() const;
  std::string file_, real_file_;
  std::shared_ptr<Around> around_;
  uint32_t own_overlays_;
  std::string trace_;         // binary records; empty: no trace
  std::string preload_link_;  // see link_preload(); empty: not needed
  std::deque<UpperLock> locks_;
  std::vector<std::string> view_dirs_;  // of read-only overlays: theirs alone
  UniqueFd joined_;                     // see join.h; none in an inner session
};

// Sees to it that "<work>/work", which the kernel leaves with mode 000, is this user's to use.
// Throws Failure.
void open_work(const std::string& work);

// "<work>/ovlrun/session" of the session's first overlay, and where its operations are recorded.
std::string session_file(const Plan& plan);
std::string real_session_file(const Plan& plan);
std::string trace_records_file(const Plan& plan);

}  // namespace ovl
