// See start.h.
#include "launcher/session/start.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "core/format/format.h"
#include "core/session/builder.h"
#include "launcher/failure.h"
#include "launcher/session/config.h"
#include "launcher/session/created.h"
#include "launcher/session/fill.h"
#include "launcher/session/identity.h"
#include "launcher/session/join.h"
#include "launcher/session/layers.h"
#include "launcher/session/leftovers.h"
#include "launcher/session/segment_file.h"
#include "launcher/session/views.h"
#include "launcher/session/volatile_mark.h"
#include "launcher/session/work_dir.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

CStr view(const std::string& text) { return CStr(text.c_str(), text.size()); }

// LD_PRELOAD has no way to quote a blank, a colon or a dollar: such a path gets a plain name.
// Empty: it needs none.
std::string link_preload(const std::string& preload, Created& created) {
  if (preload.find_first_of(" :;$\t\n") == std::string::npos) return "";
  char dir[] = "/tmp/ovlrun-XXXXXX";
  if (mkdtemp(dir) == nullptr || chmod(dir, 0755) != 0) fail("{}: {}", dir, error_text(errno));
  created.add(dir);
  std::string link = std::string(dir) + "/libovlrun.so";
  if (symlink(preload.c_str(), link.c_str()) != 0) fail("{}: {}", link, error_text(errno));
  created.add(link);
  return link;
}

bool holds(const std::string& path, const std::string& text) {
  std::string there(text.size() + 1, 0);
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.valid() &&
         read(file.get(), there.data(), there.size()) == static_cast<ssize_t>(text.size()) &&
         there.compare(0, text.size(), text) == 0;
}

// Writing costs more than looking, and most sessions of an upper are like the one before.
void write_text(const std::string& path, const std::string& text) {
  if (holds(path, text)) return;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) fail("{}: can't write it", quote(path));
}

// Nobody is in it yet: the locks are held.
UniqueFd open_joined(const std::string& work, Created& created) {
  const std::string path = joined_file(work);
  const bool there = access(path.c_str(), F_OK) == 0;
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) fail("--work {}: {}: {}", quote(work), quote(path), error_text(errno));
  if (!there) created.add(path);
  return file;
}

// The session as its segment says it, with all that the spec points to.
struct SessionText {
  SessionText(const Plan& plan, const RunOptions& options, const Ways& ways, const Around* around,
              const std::string& preload_path, const std::string& trace_path, Created& created);
  SessionText(const SessionText&) = delete;
  SessionText& operator=(const SessionText&) = delete;

  SessionSpec spec;

 private:
  void add(const PlannedOverlay& o, const RunOptions& options, const Around* around,
           const std::vector<std::string>& excludes, Created& created);

  std::string preload_, trace_;
  std::vector<OverlaySpec> overlays_;
  std::deque<OverlayLayers> layers_;
  std::vector<CStr> excludes_;
};

SessionText::SessionText(const Plan& plan, const RunOptions& options, const Ways& ways,
                         const Around* around, const std::string& preload_path,
                         const std::string& trace_path, Created& created)
    : preload_(preload_path), trace_(trace_path) {
  for (const PlannedOverlay& o : plan.overlays) add(o, options, around, plan.excludes, created);
  for (const std::string& exclude : plan.excludes) excludes_.push_back(view(exclude));
  spec.overlays = overlays_.data();
  spec.overlay_count = static_cast<uint32_t>(overlays_.size());
  spec.excludes = excludes_.data();
  spec.exclude_count = static_cast<uint32_t>(excludes_.size());
  spec.preload_path = view(preload_);
  spec.trace_path = view(trace_);
  spec.allow_uncovered = options.allow_uncovered;
  spec.count_ops = options.stats;
  spec.supervised = ways.supervisor;
  spec.preload = ways.preload;
  spec.strict = options.strict;
  if (around == nullptr) return;
  spec.around = &around->session();
  spec.supervised = around->session().segment().supervised != 0;
}

void SessionText::add(const PlannedOverlay& o, const RunOptions& options, const Around* around,
                      const std::vector<std::string>& excludes, Created& created) {
  if (!o.read_only()) {
    probe_xattrs(o, options.prefix);
    remove_leftovers(o.work);
  }
  const GivenOverlay given = {o.at,     o.upper,        o.read_only() ? "" : o.work,
                              o.lowers, options.prefix, o.data_lowers};
  const OverlayLayers& layers = layers_.emplace_back(given, around, excludes);
  OverlaySpec overlay = layers.spec();
  overlay.redirect_dir = options.redirect_dir;
  overlay.metacopy = options.metacopy;
  overlay.index = options.index;
  overlay.perm = options.perm;
  overlay.is_volatile = options.is_volatile;
  // Devices there would be the whiteouts of the overlay around.
  overlay.can_whiteout_device =
      !o.read_only() && layers.upper_outside() && have_whiteout(o, created);
  if (options.portable && !overlay.can_whiteout_device)
    fail("--portable: whiteouts in --upper {} would be files, which the kernel lists: {}",
         quote(o.upper),
         layers.upper_outside() ? "no device 0:0 can be made there"
                                : "it lies in the overlay of another ovlrun");
  overlays_.push_back(overlay);
}

}  // namespace

std::string session_file(const Plan& plan) {
  return session_dir(plan.overlays[0].work) + "/session";
}
std::string trace_records_file(const Plan& plan) {
  return session_dir(plan.overlays[0].work) + "/trace";
}

std::string real_session_file(const Plan& plan) {
  if (plan.around == nullptr) return session_file(plan);
  return plan.around->real(session_dir(plan.overlays[0].work)) + "/session";
}

RunningSession::RunningSession(const Plan& plan, const RunOptions& options, const Ways& ways)
    : file_(session_file(plan)),
      around_(plan.around),
      own_overlays_(static_cast<uint32_t>(plan.overlays.size())) {
  Created created;  // removed, where that is to be, before the locks are given back
  take_uppers(plan, created);
  real_file_ = real_session_file(plan);
  if (options.trace) trace_ = trace_records_file(plan);
  if (around_ == nullptr) preload_link_ = link_preload(plan.preload, created);
  const std::string preload = preload_link_.empty() ? plan.preload : preload_link_;
  const std::string trace =
      trace_.empty() ? "" : fs::path(real_file_).replace_filename("trace").string();
  const SessionText text(plan, options, ways, around_.get(), preload, trace, created);
  let_join(plan, created);
  for (uint32_t i = 0; i < uppers_.size(); i++) take_volatile_mark(i, options.is_volatile, created);
  if (!trace_.empty()) write_text(trace_, "");
  write_segment_file(text.spec, created);
  fill_session(plan, options.prefix, real_file_);
  take_over_errors();
  record_configs(plan, options);
  for (UpperLock& lock : locks_) lock.started();
  created.keep();
}

// The locks come first: what is found behind them is nobody else's.
void RunningSession::take_uppers(const Plan& plan, Created& created) {
  for (const PlannedOverlay& o : plan.overlays) {
    if (o.read_only()) {
      created.make_dirs(session_dir(o.work), "--read-only");
      view_dirs_.push_back(o.work);
      continue;
    }
    locks_.emplace_back(o.upper, o.work, created);
    created.make_dirs(o.work + "/work", "--work");
    open_work(o.work);
    Upper& upper = uppers_.emplace_back(Upper{o.upper, o.work});
    upper.earlier = untold_error(o.upper, o.work, around_ == nullptr);
  }
}

// Of several overlays the first one's workdir has what joining takes. A session that was killed may
// have left its own in the others.
void RunningSession::let_join(const Plan& plan, Created& created) {
  for (const Upper& upper : uppers_)
    if (around_ != nullptr || &upper != &uppers_.front()) unlink(joined_file(upper.work).c_str());
  if (around_ == nullptr && view_dirs_.empty())
    joined_ = open_joined(plan.overlays[0].work, created);
}

void RunningSession::write_segment_file(const SessionSpec& spec, Created& created) {
  created.add(file_);
  // That of a session inside another one has to be found by what that one shows.
  const std::string memory = around_ == nullptr ? segment_in_memory(file_) : "";
  if (!memory.empty()) created.add(memory);
  const Result<void> written = write_segment(view(memory.empty() ? real_file_ : memory), spec);
  if (!written.ok() && written.error() == E2BIG)
    fail(
        "more than {} layers or {} excluded directories, with those of the session around this one",
        kMaxLayers, kMaxExcludes);
  if (!written.ok())
    fail("{}: can't write the session: {}", quote(file_), error_text(written.error()));
  if (!memory.empty() && symlink(memory.c_str(), file_.c_str()) != 0)
    fail("{}: {}", quote(file_), error_text(errno));
  if (const int error = memory.empty() ? take_room(real_file_) : 0; error != 0)
    fail("{}: no room for the session: {}", quote(file_), error_text(error));
}

// What the next session of each workdir is to know, after a look at what the last one left there.
void RunningSession::record_configs(const Plan& plan, const RunOptions& options) {
  std::vector<std::string> others;
  for (const PlannedOverlay& o : plan.overlays) {
    if (o.read_only()) continue;
    if (const std::optional<RecordedConfig> recorded = read_config(o.work))
      if (const std::string other = other_layers(o, *recorded); !other.empty())
        others.push_back(other);
    PlannedOverlay started = o;
    if (started.upper_root.empty()) started.upper_root = root_identity(o.upper, around_ != nullptr);
    write_text(session_dir(o.work) + "/config", config_text(started, options));
    write_text(session_dir(o.work) + "/format", fmt::format("{}\n", kFormatVersion));
  }
  for (const std::string& line : others) complain(line);
}

// From the first step of a volatile session to the last. Another session that goes on with what a
// volatile one left writes it out before anything else.
void RunningSession::take_volatile_mark(uint32_t own, bool is_volatile, Created& created) {
  Upper& upper = uppers_[own];
  const bool left = has_volatile_mark(upper.work);
  if (is_volatile) {
    make_volatile_mark(upper.work, created);
    upper.dirty = true;
    upper.left = left;
  } else if (left) {
    if (syncfs(locks_[own].upper()) != 0) throw Failure(upper_error_text(upper.upper, errno));
    remove_volatile_mark(upper.work);
  }
}

// What nobody was told of is an error of this session.
void RunningSession::take_over_errors() {
  const auto is_earlier = [](const Upper& upper) { return upper.earlier != 0; };
  if (std::none_of(uppers_.begin(), uppers_.end(), is_earlier)) return;
  const auto session = std::make_unique<Session>();
  const Result<void> attached = session->attach(view(real_file_));
  if (!attached.ok()) fail("{}: {}", quote(file_), error_text(attached.error()));
  for (uint32_t i = 0; i < uppers_.size(); i++) {
    if (uppers_[i].earlier == 0) continue;
    session->errors(own_overlay(*session, i)).set(uppers_[i].earlier);
    complain("in an earlier session: " + upper_error_text(uppers_[i].upper, uppers_[i].earlier));
  }
}

void RunningSession::show_to_supervisor(pid_t front) {
  if (around_ == nullptr) return;
  const auto session = std::make_unique<Session>();  // too large for the stack
  const Result<void> attached = session->attach(view(real_file_));
  if (!attached.ok()) fail("{}: {}", quote(file_), error_text(attached.error()));
  register_view(*session, front, own_overlays_);
}

std::vector<int> RunningSession::descriptors() const {
  std::vector<int> all;
  for (const UpperLock& lock : locks_)
    for (int fd : lock.descriptors()) all.push_back(fd);
  if (joined_.valid()) all.push_back(joined_.get());
  return all;
}

}  // namespace ovl
