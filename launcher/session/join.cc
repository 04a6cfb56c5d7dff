// See join.h.
#include "launcher/session/join.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "core/session/session.h"
#include "launcher/failure.h"
#include "launcher/session/fill.h"
#include "launcher/session/listing.h"

namespace ovl {
namespace {

// Locks of the session are owned by task numbers, and its layers named by paths: both have to mean
// the same here. Kernel counterpart: none; an overlay is joined by its mount name space.
void check_name_spaces(long holder, const std::string& upper) {
  const char* const kNames[][2] = {{"pid", "pid"}, {"mnt", "mount"}};
  for (const auto& [name, what] : kNames) {
    struct stat own, other;
    const std::string link = fmt::format("/proc/{}/ns/{}", holder, name);
    if (holder > 0 && stat(link.c_str(), &other) != 0)
      fail("--join: {}: {}", quote(link), error_text(errno));
    if (holder <= 0 || stat(fmt::format("/proc/self/ns/{}", name).c_str(), &own) != 0 ||
        own.st_ino != other.st_ino)
      fail("--join: the session on --upper {} is in another {} name space", quote(upper), what);
  }
}

}  // namespace

std::string joined_file(const std::string& work) { return session_dir(work) + "/joined"; }

Plan plan_join(const RunOptions& options) {
  const PairOptions none;
  const PairOptions& pair = options.pairs.empty() ? none : options.pairs[0];
  PlannedOverlay overlay;
  overlay.upper = canonical(pair.upper ? *pair.upper : newest_upper("--join"));
  overlay.work = pair.work ? canonical(*pair.work) : default_work(overlay.upper);
  struct stat st;
  if (stat(overlay.upper.c_str(), &st) != 0)
    fail("--upper {}: {}", quote(overlay.upper), error_text(errno));
  Plan plan;
  plan.joins = true;
  plan.overlays.push_back(overlay);
  return plan;
}

JoinedSession::JoinedSession(const Plan& plan) : file_(session_file(plan)) {
  const PlannedOverlay& o = plan.overlays[0];
  const auto none = [&] { fail("--join: no session is running on --upper {}", quote(o.upper)); };
  joined_ = UniqueFd(open(joined_file(o.work).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!joined_.valid() && errno != ENOENT && errno != ENOTDIR)
    fail("--join: {}: {}", quote(joined_file(o.work)), error_text(errno));
  const std::optional<long> holder = upper_holder_pid(o.upper);
  if (!holder) none();
  if (!joined_.valid())
    fail("--join: --upper {} is in use, but not as the first one of a session that can be joined",
         quote(o.upper));
  if (flock(joined_.get(), LOCK_SH | LOCK_NB) != 0) none();
  check_name_spaces(*holder, o.upper);
  const auto session = std::make_unique<Session>();  // too large for the stack
  const Result<void> attached = session->attach(CStr(file_.c_str(), file_.size()));
  if (!attached.ok()) fail("--join: {}: {}", quote(file_), error_text(attached.error()));
  const Segment& segment = session->segment();
  preload_ = segment.preload != 0;
  supervised_ = segment.supervised != 0;
  strict_ = segment.strict != 0;
  note_inherited_files(*session);
  // The upper stays in use should the session's keeper be killed.
  upper_ = hold_upper_too(o.upper);
}

std::vector<int> JoinedSession::descriptors() const { return {joined_.get(), upper_.get()}; }

RunOptions JoinedSession::with_its_ways(const RunOptions& options) const {
  RunOptions own = options;
  own.strict = strict_;
  own.intercept = !supervised_ ? Intercept::kPreload
                  : preload_   ? Intercept::kBoth
                               : Intercept::kSeccomp;
  return own;
}

}  // namespace ovl
