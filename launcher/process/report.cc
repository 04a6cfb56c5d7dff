// See report.h.
#include "launcher/process/report.h"

#include <fcntl.h>
#include <stdio.h>

#include "launcher/failure.h"
#include "launcher/process/trace_text.h"
#include "launcher/session/start.h"

namespace ovl {
namespace {

// One line per Counter, in its order.
constexpr const char* kCounterNames[] = {
    "operations",
    "copy-ups",
    "copy-ups of metadata only",
    "bytes copied",
    "bytes shared by cloning",
    "whiteouts",
    "opaque directories",
    "redirects",
    "waits for a lock",
};
static_assert(std::size(kCounterNames) == static_cast<size_t>(Counter::kCount));

}  // namespace

EndReport::EndReport(const RunOptions& options, const Plan& plan)
    : options_(options), plan_(plan) {}

void EndReport::start() {
  if (options_.trace)
    trace_ = UniqueFd(open(trace_records_file(plan_).c_str(), O_RDONLY | O_CLOEXEC));
  if (!options_.stats) return;
  const std::string file = real_session_file(plan_);
  session_ = std::make_unique<Session>();
  if (!session_->attach(CStr(file.c_str(), file.size())).ok()) session_.reset();
}

void EndReport::tell(const UpperErrors& errors) {
  for (size_t i = 0; i < plan_.overlays.size(); i++) {
    if (errors[i] == 0) continue;
    complain(upper_error_text(plan_.overlays[i].upper, errors[i]));
    told_[i] = errors[i];
  }
}

void EndReport::print() {
  if (trace_.valid()) write_trace_text(trace_.get(), options_.trace_file);
  if (session_ != nullptr) print_stats();
  for (size_t i = 0; options_.verbose && i < plan_.overlays.size(); i++)
    if (told_[i] == 0)
      complain(fmt::format("upper {}: no write-back errors", quote(plan_.overlays[i].upper)));
  for (const PlannedOverlay& o : plan_.overlays)
    if (o.own_upper)
      complain(
          fmt::format("changes are in {0} (list them: ovlrun diff --upper {0})", quote(o.upper)));
}

void EndReport::print_stats() const {
  for (size_t i = 0; i < std::size(kCounterNames); i++)
    complain(fmt::format("{:>12} {}",
                         session_->segment().counters[i].load(std::memory_order_relaxed),
                         kCounterNames[i]));
}

}  // namespace ovl
