// The rest of the workdir: what operations that were killed have left, companions, marks of what
// the upper was used with.
#include <sys/stat.h>

#include "core/copy_up/marks.h"
#include "launcher/session/existing.h"
#include "launcher/session/listing.h"
#include "launcher/session/plan.h"
#include "launcher/upper/check_state.h"
#include "launcher/upper/memory.h"

namespace ovl {
namespace {

constexpr char kVolatile[] = "volatile";

class WorkCheck {
 public:
  explicit WorkCheck(CheckState& state) : state_(state), work_(state.source.work) {}

  void run() {
    check_mark();
    check_temporaries();
    check_features();
    check_companions();
  }

 private:
  // One that can't be read belongs to somebody else (the kernel's has mode 000).
  static std::vector<RealEntry> entries(const std::string& dir) {
    StatX st;
    if (!sys_lstat(view(dir), &st).ok()) return {};
    try {
      return real_entries(dir);
    } catch (const Failure&) {
      return {};
    }
  }

  // What refers to the lower under the prefix user needs the mark that keeps the kernel away.
  void check_mark() {
    if (state_.format().prefix != XattrPrefix::kUser) return;
    const std::string mark = work_ + text_of(kInnerWork) + "/incompat/" + kIncompatName;
    StatX st;
    const Result<void> there = sys_lstat(view(mark), &st);
    if (there.ok())
      state_.report.needless_mark = !state_.refers_to_lower;
    else if (state_.refers_to_lower && (there.error() == ENOENT || there.error() == ENOTDIR))
      state_.add({FindingKind::kNoMark, mark, quote(*state_.refers_to_lower)});
  }

  void check_temporaries() {
    const std::string inner = work_ + text_of(kInnerWork);
    for (const RealEntry& entry : entries(inner)) {
      if (!is_temporary(inner, entry.name)) continue;
      const std::string path = inner + "/" + entry.name;
      const bool settle = entry.name == kSettleMemory;
      state_.add({settle ? FindingKind::kSettleKilled : FindingKind::kTemporary, path, "",
                  settle ? "" : path});
    }
  }

  void check_features() {
    const std::string dir = work_ + text_of(kInnerWork) + "/incompat";
    for (const RealEntry& entry : entries(dir)) {
      const std::string path = dir + "/" + entry.name;
      if (entry.name == kVolatile)
        check_volatile(path);
      else if (entry.name != kIncompatName)
        state_.add({FindingKind::kUnknownFeature, path});
    }
  }
  void check_volatile(const std::string& path) {
    const std::string dirty = path + "/dirty";
    StatX st;
    if (sys_lstat(view(dirty), &st).ok()) state_.add({FindingKind::kVolatile, dirty});
  }

  // All objects of the upper and of the index have been seen, so what no one of them has belongs to
  // none, unless another file system's handles are meant.
  void check_companions() {
    const Overlay& overlay = state_.overlay();
    if (!overlay.has_beside) return;
    const std::string dir = session_dir(work_) + "/beside";
    for (const RealEntry& entry : entries(dir)) {
      const std::string path = dir + "/" + entry.name;
      if (state_.companions.contains(path)) continue;
      FileHandle handle;
      if (!is_index_name(entry.name) || !decode(entry.name, &handle) || !handle.path_upper)
        state_.add({FindingKind::kUnknownCompanion, path});
      else if (state_.below == Below::kSame && state_.report.unchecked.empty() &&
               memcmp(handle.uuid, overlay.upper_layer->uuid, sizeof handle.uuid) == 0)
        state_.add({FindingKind::kCompanionOfNothing, path, "", path});
    }
  }

  static bool decode(const std::string& name, FileHandle* out) {
    const std::string bytes = bytes_of(name);
    const Result<OriginState> state = decode_origin(bytes.data(), bytes.size(), out);
    return state.ok() && state.value() == OriginState::kKnown;
  }

  CheckState& state_;
  const std::string& work_;
};

}  // namespace

bool is_temporary(const std::string& dir, const std::string& name) {
  if (!name.starts_with('#') || name == kSharedWhiteout) return false;
  const std::string path = dir + "/" + name;
  StatX st;
  return sys_lstat(view(path), &st).ok() && !is_whiteout_device(st);
}

void check_workdir(CheckState& state) { WorkCheck(state).run(); }

}  // namespace ovl
