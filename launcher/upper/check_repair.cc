// What `ovlrun check --repair` does, one step for each finding: a mark is set or removed, a name
// that nobody sees is removed. Each is true by itself, so a kill leaves what was done until then,
// and the next check finds the rest.
#include <sys/stat.h>

#include <filesystem>

#include "core/copy_up/complete.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/sys/sys.h"
#include "core/walk/lookup.h"
#include "launcher/failure.h"
#include "launcher/upper/check_state.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

class Repair {
 public:
  explicit Repair(const UpperSource& source) : view_(source, true) {}

  void run(const Finding& finding) {
    const Result<void> done = step(finding);
    if (!done.ok() && done.error() != ENOENT && done.error() != ENODATA)
      complain(fmt::format("check: {}: {}", quote(finding.path), error_text(done.error())));
  }

 private:
  Result<void> step(const Finding& finding) {
    switch (finding.kind) {
      case FindingKind::kBadOrigin:
      case FindingKind::kOtherEntry:
      case FindingKind::kBadImpure:
      case FindingKind::kMissingImpure:
        return set(finding);
      case FindingKind::kBadRedirectOfWhole:
      case FindingKind::kMisplacedMark:
      case FindingKind::kEndedRedirect:
        return remove_mark(finding);
      case FindingKind::kFillingKilled:
        return give_up(finding);
      case FindingKind::kNoMark:
        return announce();
      case FindingKind::kUnannouncedWhiteout:
        return announce_whiteouts(finding);
      case FindingKind::kWhiteoutInOpaque:
      case FindingKind::kWhiteoutInNew:
      case FindingKind::kWhiteoutOverNothing:
        return remove_whiteout(finding);
      case FindingKind::kForgottenEntry:
        return remove_entry(finding);
      case FindingKind::kTemporary:
        return remove_temporary(finding);
      case FindingKind::kCompanionOfNothing:
        return sys_unlink(view(finding.real));
      default:
        return {};
    }
  }

  const Overlay& overlay() const { return view_.overlay(); }

  Result<void> set(const Finding& finding) {
    Op op(caller_, view_.session());
    return set_mark(op, overlay(), view(finding.real), finding.mark,
                    Str(finding.value.data(), finding.value.size()));
  }
  Result<void> remove_mark(const Finding& finding) {
    return sys_lremovexattr(view(finding.real), priv_name(overlay().format, finding.mark));
  }
  Result<void> give_up(const Finding& finding) {
    Op op(caller_, view_.session());
    Node node;
    node.overlay = &overlay();
    node.where = Where::kUpper;
    node.upper = view(finding.real);
    TRY(load_attributes(op, &node));
    return node.filling() ? give_up_filling(op, node) : Result<void>();
  }
  Result<void> announce() {
    Op op(caller_, view_.session());
    return mark_unportable(op, overlay());
  }
  Result<void> announce_whiteouts(const Finding& finding) {
    Op op(caller_, view_.session());
    return mark_xattr_whiteouts(op, overlay(), view(finding.real));
  }

  // Programs see no change of the directory.
  Result<void> remove_whiteout(const Finding& finding) {
    const std::string dir = finding.real.substr(0, finding.real.rfind('/'));
    const KeepTimes keep = TRY(KeepTimes::of(view(dir)));
    TRY(sys_unlink(view(finding.real)));
    return keep.restore();
  }

  Result<void> remove_entry(const Finding& finding) {
    TRY(sys_unlink(view(finding.real)));
    return finding.value.empty() ? Result<void>() : sys_unlink(view(finding.value));
  }

  Result<void> remove_temporary(const Finding& finding) {
    std::error_code error;
    fs::remove_all(finding.real, error);
    return error ? Result<void>(Error(error.value())) : Result<void>();
  }

  QuietCaller caller_;
  View view_;
};

}  // namespace

void repair(const UpperSource& source, const std::vector<Finding>& findings) {
  Repair repair(source);
  // A kernel mount is kept away before anything else.
  for (const bool first : {true, false})
    for (const Finding& finding : findings)
      if ((finding.kind == FindingKind::kNoMark) == first) repair.run(finding);
}

}  // namespace ovl
