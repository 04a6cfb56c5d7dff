// What ovlrun says on stderr when the command has ended: --stats, --trace, the name of a fresh
// upper.
#pragma once

#include <memory>

#include "core/base/unique_fd.h"
#include "core/session/session.h"
#include "launcher/options.h"
#include "launcher/session/plan.h"
#include "launcher/session/upper_errors.h"

namespace ovl {

class EndReport {
 public:
  EndReport(const RunOptions& options, const Plan& plan);
  // The session has started: holds on to what the keeper may remove as soon as the command has
  // ended.
  void start();
  // Errors of writing to the uppers, as soon as they are known.
  void tell(const UpperErrors& errors);
  bool told_errors() const { return any(told_); }
  void print();

 private:
  void print_stats() const;
  const RunOptions& options_;
  const Plan& plan_;
  UpperErrors told_ = {};
  std::unique_ptr<Session> session_;
  UniqueFd trace_;  // binary records
};

}  // namespace ovl
