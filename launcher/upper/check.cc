// See check.h. The upper is walked as it really is; the core's own lookup tells what of the lowers
// its directories and files lead to.
#include "launcher/upper/check.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "core/names/place.h"
#include "core/walk/lookup.h"
#include "launcher/failure.h"
#include "launcher/session/listing.h"
#include "launcher/upper/check_state.h"

namespace ovl {

InodeKey key_of(const StatX& st) {
  return {makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino};
}

void CheckState::unchecked(const std::string& path, int error) {
  report.unchecked.push_back(fmt::format("{}: {}", quote(path), error_text(error)));
}

namespace {

// fuse-overlayfs's, as root: a device 0:0 that makes its directory opaque for it.
constexpr Str kFuseOpaqueDevice(".wh..opq");

class Walk {
 public:
  explicit Walk(CheckState& state) : state_(state) {}

  void run() {
    todo_.push_back({"", false, false});
    while (!todo_.empty()) {
      const Directory dir = std::move(todo_.back());
      todo_.pop_back();
      visit(dir);
    }
  }

 private:
  struct Directory {
    std::string rel;
    bool lost;  // of it or of one above nothing is known about the lowers
    // The directory above has no lowers, and does not tell that things in it come from some.
    bool in_plain;
  };
  // One that is being looked at.
  struct Open {
    const Directory& dir;
    const Node* node;  // nullptr: it can't be looked up
    Marks marks;
    bool lost = false;
    bool plain() const {
      return node != nullptr && !lost && node->lower_count == 0 && !marks.has.has(Priv::kImpure);
    }
  };

  std::string real(const std::string& rel) const { return state_.source.upper + rel; }

  void visit(const Directory& dir) {
    Seen seen = {state_.view.shown(dir.rel), real(dir.rel), "", {}, dir.rel.empty()};
    if (const Result<void> there = sys_lstat(view(seen.real), &seen.st); !there.ok())
      return state_.unchecked(seen.path, there.error());
    state_.report.objects++;
    Op op(state_.caller, state_.view.session());
    Open open = {dir, nullptr, check_marks(state_, &seen)};
    const Result<const Node*> found = node_at(op, view(seen.path));
    if (found.ok() && found.value()->in_upper() && found.value()->is_dir())
      open.node = found.value();
    check_directory(state_, seen, open.marks, open.node);
    if (!found.ok() && !open.marks.damaged && !dir.lost) tell(seen.path, found.error());
    const bool redirected = open.marks.has.has(Priv::kRedirect) && !open.marks.ends_below();
    const bool has_lowers = open.node != nullptr && open.node->lower_count != 0;
    open.lost = open.node == nullptr || open.marks.damaged || (redirected && !has_lowers) ||
                (dir.lost && !open.marks.ends_below());
    if (dir.in_plain && has_lowers) needs_impure(dir.rel);
    std::vector<RealEntry> entries;
    try {
      entries = real_entries(seen.real);
    } catch (const Failure& failure) {
      state_.report.unchecked.emplace_back(failure.what());
    }
    for (const RealEntry& entry : entries) {
      const std::string rel = dir.rel + "/" + entry.name;
      if (entry.is_dir)
        todo_.push_back({rel, open.lost, open.plain()});
      else
        check_object(open, rel, entry.name);
    }
  }

  // A directory that can't be looked up, and does not say why.
  void tell(const std::string& path, int error) {
    if (error == EACCES)
      state_.unchecked(path, error);
    else
      state_.add({FindingKind::kNotFound, path, error_text(error)});
  }

  void check_object(const Open& open, const std::string& rel, const std::string& name) {
    Seen seen = {state_.view.shown(rel), real(rel), "", {}};
    if (const Result<void> there = sys_lstat(view(seen.real), &seen.st); !there.ok())
      return state_.unchecked(seen.path, there.error());
    state_.report.objects++;
    if (is_whiteout_device(seen.st)) return check_whiteout(open, seen, name);
    if (open.marks.has.has(Priv::kFuseOpaque) && view(name) == kFuseOpaqueFile) return;
    const Marks marks = check_marks(state_, &seen);
    if (marks.has.has(Priv::kWhiteout) && S_ISREG(seen.st.stx_mode) && seen.st.stx_size == 0) {
      state_.refers(seen.path);
      if (open.marks.opaque == Opaque::kNo && !open.marks.damaged)
        state_.add(
            {FindingKind::kUnannouncedWhiteout, seen.path, "", real(open.dir.rel), Priv::kOpaque});
      return check_whiteout(open, seen, name);
    }
    if (seen.st.stx_nlink > 1 || marks.has.has(Priv::kNlink)) {
      NamedInode& inode = state_.inodes[key_of(seen.st)];
      if (inode.names++ == 0) inode.first = seen.path;
      if (marks.has.has(Priv::kNlink))
        state_.no_entry.emplace(marks.origin.value_or(""), seen.path);
    }
    // A metacopy without an origin shows its own number: the kernel makes such ones of hard links
    // that it breaks.
    if (open.plain() && seen.marked == seen.real && marks.origin_handle) needs_impure(rel);
    if (!refers_to_lower(marks)) return;
    if (open.node == nullptr || open.lost) {
      check_file(state_, seen, marks, nullptr, EACCES);
      return;
    }
    Op op(state_.caller, state_.view.session());
    const Result<const Node*> found = lookup(op, *open.node, view(name), Search::kUnchecked);
    const bool good = found.ok() && found.value()->in_upper();
    check_file(state_, seen, marks, good ? found.value() : nullptr,
               good         ? 0
               : found.ok() ? ENOENT
                            : found.error());
  }

  // Once for each directory. `rel`: what is in it. A kernel mount of a user can't find what an
  // origin names, and takes the mark away where it looks.
  void needs_impure(const std::string& rel) {
    if (state_.format().prefix == XattrPrefix::kUser) return;
    const std::string above = rel.substr(0, rel.rfind('/'));
    if (!impure_.insert(above).second) return;
    state_.add({FindingKind::kMissingImpure, state_.view.shown(above),
                quote(rel.substr(above.size() + 1)), real(above), Priv::kImpure, "y"});
  }

  void check_whiteout(const Open& open, const Seen& seen, const std::string& name) {
    if (open.node == nullptr || open.lost || view(name) == kFuseOpaqueDevice) return;
    FindingKind kind = FindingKind::kWhiteoutOverNothing;
    if (open.marks.ends_below()) {
      kind = FindingKind::kWhiteoutInOpaque;
    } else if (open.node->lower_count == 0) {
      kind = FindingKind::kWhiteoutInNew;
    } else {
      Op op(state_.caller, state_.view.session());
      const Result<bool> hides = lower_has(op, *open.node, view(name));
      if (!hides.ok() || hides.value()) return;
    }
    if (kind != FindingKind::kWhiteoutInOpaque && state_.below == Below::kPerhapsOthers) return;
    state_.add({kind, seen.path, "", seen.real});
  }

  CheckState& state_;
  std::vector<Directory> todo_;
  std::set<std::string> impure_;
};

bool tells_changed_lower(FindingKind kind) {
  switch (kind) {
    case FindingKind::kLostDirectory:
    case FindingKind::kLostData:
    case FindingKind::kOtherSize:
    case FindingKind::kOtherDigest:
    case FindingKind::kOtherOrigin:
      return true;
    default:
      return false;
  }
}

}  // namespace

CheckReport check_upper(const UpperSource& source, Below below) {
  CheckState state(source, below);
  Walk(state).run();
  if (!source.work.empty()) {
    check_index(state);
    check_workdir(state);
  }
  std::vector<Finding>& findings = state.report.findings;
  // Of a lower that is not what it was, the whiteouts may be needed again.
  const bool changed = std::any_of(findings.begin(), findings.end(),
                                   [](const Finding& f) { return tells_changed_lower(f.kind); });
  if (changed)
    std::erase_if(findings,
                  [](const Finding& f) { return f.kind == FindingKind::kWhiteoutOverNothing; });
  std::sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return a.path != b.path ? a.path < b.path : a.kind < b.kind;
  });
  findings.erase(std::unique(findings.begin(), findings.end()), findings.end());
  return std::move(state.report);
}

}  // namespace ovl
