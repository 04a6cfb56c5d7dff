// The index of the workdir: each entry is an inode of the upper, under the name of what it was
// copied from, and its link count is what programs see. Kernel counterpart: ovl_verify_index().
#include <sys/stat.h>

#include <algorithm>

#include "launcher/session/existing.h"
#include "launcher/session/listing.h"
#include "launcher/upper/check_state.h"

namespace ovl {
namespace {

// nullopt: it can't be told. 0: no name is left.
std::optional<int64_t> shown_count(Str value, uint32_t upper, uint32_t lower) {
  if (!value.empty() && value[0] == static_cast<char>(NlinkBase::kLower) && lower == 0) return {};
  constexpr uint32_t kPlenty = 1u << 30;  // a count of none can't be decoded
  const Result<uint32_t> more = decode_nlink(value, upper + kPlenty, lower + kPlenty);
  if (!more.ok()) return {};
  return int64_t{more.value()} - kPlenty;
}

class IndexCheck {
 public:
  explicit IndexCheck(CheckState& state) : state_(state), dir_(state.source.work + "/index") {}

  void run() {
    StatX st;
    if (!sys_lstat(view(dir_), &st).ok()) return tell_strays();
    for (const RealEntry& entry : entries()) {
      state_.report.objects++;
      check(entry.name);
    }
    if (complete_) tell_strays();
  }

 private:
  std::vector<RealEntry> entries() {
    try {
      return real_entries(dir_);
    } catch (const Failure& failure) {
      state_.report.unchecked.emplace_back(failure.what());
      complete_ = false;
    }
    return {};
  }

  void check(const std::string& name) {
    const std::string path = dir_ + "/" + name;
    if (name.starts_with('#')) {
      if (is_temporary(dir_, name)) state_.add({FindingKind::kTemporary, path, "", path});
      return;
    }
    const std::string origin = is_index_name(name) ? bytes_of(name) : "";
    FileHandle handle;
    if (origin.empty() || !decode_origin(origin.data(), origin.size(), &handle).ok())
      return state_.add({FindingKind::kUnknownEntry, path});
    Seen seen = {path, path, "", {}, false, true};
    if (const Result<void> there = sys_lstat(view(path), &seen.st); !there.ok())
      return state_.unchecked(path, there.error());
    const bool whiteout =
        S_ISCHR(seen.st.stx_mode) && seen.st.stx_rdev_major == 0 && seen.st.stx_rdev_minor == 0;
    if (whiteout) return;  // what is indexed so was deleted
    const auto known = state_.inodes.find(key_of(seen.st));
    const NamedInode inode = known != state_.inodes.end() ? known->second : NamedInode();
    // One of its names is told, and what is wrong with its marks was found there.
    const size_t before = state_.report.findings.size();
    const Marks marks = check_marks(state_, &seen);
    if (inode.names != 0) {
      state_.report.findings.erase(state_.report.findings.begin() + static_cast<ptrdiff_t>(before),
                                   state_.report.findings.end());
      seen.path = inode.first;
    }
    state_.no_entry.erase(origin);
    if (marks.origin) state_.no_entry.erase(*marks.origin);
    if (S_ISDIR(seen.st.stx_mode)) return;
    if (marks.origin && *marks.origin != origin)
      state_.add({FindingKind::kOtherEntry, seen.path, "", seen.marked, Priv::kOrigin, origin});
    if (marks.has.has(Priv::kNlink) && !marks.damaged) check_count(seen, marks, inode);
  }

  void check_count(const Seen& seen, const Marks& marks, const NamedInode& inode) {
    const std::optional<int64_t> count =
        shown_count(view(marks.nlink), seen.st.stx_nlink, inode.lower_nlink);
    if (!count) return;
    // What has names elsewhere too (a copy of the upper by hard links) can't be counted.
    const bool all_known = inode.names + 1 == seen.st.stx_nlink;
    if (!all_known) return;
    if (*count == 0 && inode.names == 0)
      state_.add({FindingKind::kForgottenEntry, seen.path, "", seen.real, Priv::kCount,
                  seen.marked == seen.real ? "" : seen.marked});
    else if (*count < int64_t{std::max(inode.names, 1u)})
      state_.add({FindingKind::kLowCount, seen.path,
                  fmt::format("{} with {} names in the upper", *count, inode.names)});
    else if (inode.lower_nlink != 0 && *count > int64_t{inode.names} + inode.lower_nlink)
      state_.add({FindingKind::kHighCount, seen.path,
                  fmt::format("{} with {} names in the upper and {} in the lower", *count,
                              inode.names, inode.lower_nlink)});
  }

  // Files that say that they have an entry.
  void tell_strays() {
    for (const auto& [origin, path] : state_.no_entry) state_.add({FindingKind::kNoEntry, path});
  }

  CheckState& state_;
  const std::string dir_;
  bool complete_ = true;
};

}  // namespace

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

void check_index(CheckState& state) { IndexCheck(state).run(); }

}  // namespace ovl
