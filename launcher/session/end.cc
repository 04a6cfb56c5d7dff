// How a session ends: written out, its errors told, its own files gone.
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "core/session/lock.h"
#include "core/session/moved.h"
#include "launcher/failure.h"
#include "launcher/session/leftovers.h"
#include "launcher/session/segment_file.h"
#include "launcher/session/start.h"
#include "launcher/session/views.h"
#include "launcher/session/volatile_mark.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

CStr view(const std::string& text) { return CStr(text.c_str(), text.size()); }

}  // namespace

// Those of sessions around stand in front.
const Overlay& RunningSession::own_overlay(const Session& session, uint32_t i) const {
  return session.overlay(session.overlay_count() - own_overlays_ + i);
}

UpperErrors RunningSession::write_out() {
  UpperErrors errors = {};
  const auto session = std::make_unique<Session>();
  if (!session->attach(view(real_file_)).ok()) return errors;  // somebody took it away
  const bool changed = session->state().changed.load() != 0;
  for (uint32_t i = 0; i < uppers_.size(); i++) {
    Upper& upper = uppers_[i];
    const Overlay& overlay = own_overlay(*session, i);
    ErrorSequence& sequence = session->errors(overlay);
    if (upper.told == ErrorSequence::kBeforeAll) upper.told = overlay.errors_before;
    if ((changed || upper.left) && syncfs(locks_[i].upper()) != 0) sequence.set(errno);
    errors[i] = static_cast<uint8_t>(sequence.check_and_advance(&upper.told));
    upper.failed = upper.failed || errors[i] != 0;
    upper.written = true;
  }
  return errors;
}

void RunningSession::errors_were_told(const UpperErrors& errors, bool told) const {
  for (uint32_t i = 0; i < own_overlays_; i++) {
    if (errors[i] == 0) continue;
    if (told)
      forget_untold_error(uppers_[i].work);
    else
      keep_untold_error(uppers_[i].work, errors[i]);
  }
}

// What the session leaves in memory that goes on.
void RunningSession::leave_around() const {
  unregister_view(around_->session());
  const auto session = std::make_unique<Session>();
  if (!session->attach(view(real_file_)).ok()) return;  // somebody took it away
  const Segment& own = session->segment();
  for (size_t i = 0; i < std::size(own.counters); i++)
    around_->session().count(static_cast<Counter>(i), own.counters[i].load());
  Mutation mutation(*session, Mutation::Topology::kExclusive);
  const uint32_t count = session->overlay_count();
  for (uint32_t i = count - own_overlays_; i < count; i++)
    moved_remove(*session, session->overlay(i), "");
}

// Nobody has it open any more.
void RunningSession::clean_kept() const {
  const auto session = std::make_unique<Session>();
  if (around_ != nullptr || !session->attach(view(real_file_)).ok()) return;
  if (session->state().kept_used.load() == 0) return;
  for (uint32_t i = 0; i < session->overlay_count(); i++) {
    const Overlay& overlay = session->overlay(i);
    if (overlay.upper_layer == nullptr) continue;
    try {
      remove_leftovers(overlay.work.c_str());
    } catch (const Failure&) {
      // The next start does it, or says why it can't.
    }
  }
}

void RunningSession::command_has_ended() const {
  const auto session = std::make_unique<Session>();
  if (session->attach(view(real_file_)).ok()) session->segment().command_ended.store(1);
}

bool RunningSession::is_joined() const {
  return joined_.valid() && flock(joined_.get(), LOCK_EX | LOCK_NB) != 0;
}

void RunningSession::wait_until_left() {
  while (joined_.valid() && flock(joined_.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
}

void RunningSession::end() {
  if (around_ != nullptr) leave_around();
  clean_kept();
  for (const Upper& upper : uppers_) {
    if (!upper.dirty || upper.failed || (upper.left && !upper.written)) continue;
    try {
      remove_volatile_mark(upper.work);
    } catch (const Failure&) {
      // The next start says that it is there.
    }
  }
  if (around_ == nullptr)
    remove_segment(file_);
  else
    unlink(file_.c_str());
  if (!trace_.empty()) unlink(trace_.c_str());
  for (const std::string& dir : view_dirs_) {
    rmdir(session_dir(dir).c_str());
    rmdir(dir.c_str());
  }
  if (!preload_link_.empty()) {
    unlink(preload_link_.c_str());
    rmdir(fs::path(preload_link_).parent_path().c_str());
  }
}

}  // namespace ovl
