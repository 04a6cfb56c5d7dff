// Makes a planned session real: directories, locks, the segment. Undone when it fails half-way.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/session/builder.h"
#include "core/session/session.h"
#include "launcher/options.h"
#include "launcher/run/intercept.h"
#include "launcher/session/lock.h"
#include "launcher/session/plan.h"
#include "launcher/session/upper_errors.h"

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
  // Others who want the upper may wait for what that left running.
  virtual void command_has_ended() const {}
  // Are there other keepers' commands in it? Then it goes on until they are gone.
  virtual bool is_joined() const { return false; }
  virtual void wait_until_left() {}
  // Writes out what the session wrote, if it did, and asks for errors that nobody was told here.
  virtual UpperErrors write_out() { return {}; }
  // What write_out() returned was told to somebody; or to nobody, and is for the next session.
  virtual void errors_were_told(const UpperErrors&, bool /*told*/) const {}
  // Removes what only the live session needs, and marks the uppers as clean that are written out
  // without an error.
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
  void command_has_ended() const override;
  bool is_joined() const override;
  void wait_until_left() override;
  UpperErrors write_out() override;
  void errors_were_told(const UpperErrors& errors, bool told) const override;
  void end() override;

 private:
  void take_uppers(const Plan& plan, Created& created);
  void let_join(const Plan& plan, Created& created);
  void write_segment_file(const SessionSpec& spec, Created& created);
  void record_configs(const Plan& plan, const RunOptions& options);
  void take_volatile_mark(uint32_t own, bool is_volatile, Created& created);
  void take_over_errors();
  const Overlay& own_overlay(const Session& session, uint32_t i) const;
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
  // An own overlay's, in their order.
  struct Upper {
    std::string upper, work;
    bool dirty = false;  // has the mark of a volatile session
    bool left = false;   // had it before this session
    int earlier = 0;     // an error of an earlier session
    bool written = false, failed = false;
    ErrorSequence::Sample told = ErrorSequence::kBeforeAll;
  };
  std::vector<Upper> uppers_;
};

// "<work>/ovlrun/session" of the session's first overlay, and where its operations are recorded.
std::string session_file(const Plan& plan);
std::string real_session_file(const Plan& plan);
std::string trace_records_file(const Plan& plan);

}  // namespace ovl
