// What ovlrun says on stderr when the command has ended: --stats, --trace, the name of a fresh
// upper.
#pragma once

#include <memory>

#include "core/base/unique_fd.h"
#include "core/session/session.h"
#include "launcher/options.h"
#include "launcher/session/plan.h"

namespace ovl {

class EndReport {
 public:
  EndReport(const RunOptions& options, const Plan& plan);
  // Will there be anything to say?
  bool needs_stderr() const;
  // The session has started: holds on to what the keeper may remove as soon as the command has
  // ended.
  void start();
  void print();

 private:
  void print_stats() const;
  const RunOptions& options_;
  const Plan& plan_;
  std::unique_ptr<Session> session_;
  UniqueFd trace_;  // binary records
};

}  // namespace ovl
