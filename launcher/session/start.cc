// See start.h.
#include "launcher/session/start.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "core/copy_up/marks.h"
#include "core/format/format.h"
#include "core/session/builder.h"
#include "core/session/lock.h"
#include "core/session/moved.h"
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

namespace fs = std::filesystem;

namespace ovl {
namespace {

// A link more than a file system allows only costs another one (copy_up/whiteout.cc).
constexpr nlink_t kSharedWhiteoutLinksMost = 32000;

CStr view(const std::string& text) { return CStr(text.c_str(), text.size()); }

// Can files and directories there have the xattrs that the format needs? "0" on the workdir says
// nothing, and is what the kernel tries there too. It stays: to set it again is no change.
void probe_xattrs(const PlannedOverlay& o, XattrPrefix prefix) {
  const std::string inner = o.work + "/work";
  const char* name = priv_name(prefix, Priv::kOpaque);
  char value[2] = {};
  if (lsetxattr(inner.c_str(), name, "0", 1, 0) == 0 &&
      lgetxattr(inner.c_str(), name, value, sizeof value) == 1)
    return;
  const int code = errno;
  if (prefix == XattrPrefix::kTrusted && code == EPERM)
    fail("--xattr=trusted: {}: only root may set trusted xattrs", error_text(code));
  if (code == EOPNOTSUPP)
    fail("--upper {}: its file system has no {} xattrs", quote(o.upper),
         prefix == XattrPrefix::kUser ? "user" : "trusted");
  fail("--upper {}: can't set xattrs: {}", quote(o.upper), error_text(code));
}

// Unprivileged mknod of 0:0 works since Linux 5.8, unless a sandbox refuses it. What it makes is
// the whiteout that all others are links to, so one that an earlier session has left will do.
bool have_whiteout(const PlannedOverlay& o, Created& created) {
  const std::string shared = o.work + "/work/" + kSharedWhiteout;
  struct stat st;
  if (lstat(shared.c_str(), &st) == 0) {
    if (S_ISCHR(st.st_mode) && st.st_rdev == 0 && st.st_uid == geteuid() &&
        st.st_nlink < kSharedWhiteoutLinksMost)
      return true;
    unlink(shared.c_str());
  }
  if (mknod(shared.c_str(), S_IFCHR, 0) != 0) return false;
  created.add(shared);
  return true;
}

}  // namespace

// The kernel leaves its "<work>/work" and "<work>/index" with mode 000.
void open_work(const std::string& work) {
  for (const char* name : {"/work", "/index"}) {
    const std::string inner = work + name;
    struct stat st;
    if (stat(inner.c_str(), &st) != 0) {
      if (errno == ENOENT && name == std::string("/index")) continue;
      fail("{}: {}", quote(inner), error_text(errno));
    }
    if ((st.st_mode & 0700) != 0700 && chmod(inner.c_str(), st.st_mode | 0700) != 0)
      fail("--work {}: {}: {}", quote(work), quote(inner), error_text(errno));
    if (access(inner.c_str(), R_OK | W_OK | X_OK) != 0)
      fail("--work {}: {}: {}", quote(work), quote(inner), error_text(errno));
  }
}

namespace {

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
  real_file_ = real_session_file(plan);
  std::string real_trace;
  if (options.trace) {
    trace_ = trace_records_file(plan);
    real_trace = fs::path(real_file_).replace_filename("trace");
  }

  std::vector<OverlaySpec> specs;
  std::deque<OverlayLayers> layers;
  for (const PlannedOverlay& o : plan.overlays) {
    if (!o.read_only()) {
      probe_xattrs(o, options.prefix);
      remove_leftovers(o.work);
    }
    layers.emplace_back(GivenOverlay{o.at, o.upper, o.read_only() ? "" : o.work, o.lowers,
                                     options.prefix, o.data_lowers},
                        around_.get(), plan.excludes);
    OverlaySpec spec = layers.back().spec();
    spec.redirect_dir = options.redirect_dir;
    spec.metacopy = options.metacopy;
    spec.index = options.index;
    spec.perm = options.perm;
    spec.is_volatile = options.is_volatile;
    // Devices there would be the whiteouts of the overlay around.
    spec.can_whiteout_device =
        !o.read_only() && layers.back().upper_outside() && have_whiteout(o, created);
    if (options.portable && !spec.can_whiteout_device)
      fail("--portable: whiteouts in --upper {} would be files, which the kernel lists: {}",
           quote(o.upper),
           layers.back().upper_outside() ? "no device 0:0 can be made there"
                                         : "it lies in the overlay of another ovlrun");
    specs.push_back(spec);
  }
  std::vector<CStr> excludes;
  for (const std::string& exclude : plan.excludes) excludes.push_back(view(exclude));
  SessionSpec spec;
  spec.overlays = specs.data();
  spec.overlay_count = own_overlays_;
  spec.excludes = excludes.data();
  spec.exclude_count = static_cast<uint32_t>(excludes.size());
  if (around_ == nullptr) preload_link_ = link_preload(plan.preload, created);
  spec.preload_path = view(preload_link_.empty() ? plan.preload : preload_link_);
  spec.trace_path = view(real_trace);
  spec.allow_uncovered = options.allow_uncovered;
  spec.count_ops = options.stats;
  spec.supervised = ways.supervisor;
  spec.preload = ways.preload;
  spec.strict = options.strict;
  if (around_ != nullptr) {
    spec.around = &around_->session();
    spec.supervised = around_->session().segment().supervised != 0;
  }
  // Of several overlays the first one's workdir has it. A session that was killed may have left its
  // own in the others, and all else that joining it takes.
  for (const Upper& upper : uppers_)
    if (around_ != nullptr || &upper != &uppers_.front()) unlink(joined_file(upper.work).c_str());
  if (around_ == nullptr && view_dirs_.empty())
    joined_ = open_joined(plan.overlays[0].work, created);
  for (uint32_t i = 0; i < uppers_.size(); i++) take_volatile_mark(i, options.is_volatile, created);
  if (!trace_.empty()) write_text(trace_, "");
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

  fill_session(plan, options.prefix, real_file_);
  take_over_errors();
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
  for (UpperLock& lock : locks_) lock.started();
  created.keep();
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

std::vector<int> RunningSession::descriptors() const {
  std::vector<int> all;
  for (const UpperLock& lock : locks_)
    for (int fd : lock.descriptors()) all.push_back(fd);
  if (joined_.valid()) all.push_back(joined_.get());
  return all;
}

void RunningSession::show_to_supervisor(pid_t front) {
  if (around_ == nullptr) return;
  const auto session = std::make_unique<Session>();  // too large for the stack
  const Result<void> attached = session->attach(view(real_file_));
  if (!attached.ok()) fail("{}: {}", quote(file_), error_text(attached.error()));
  register_view(*session, front, own_overlays_);
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
