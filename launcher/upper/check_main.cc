// ovlrun check: says what is wrong with an upper, and repairs it.
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/session/existing.h"
#include "launcher/session/identity.h"
#include "launcher/session/work_dir.h"
#include "launcher/upper/check.h"
#include "launcher/upper/held.h"
#include "launcher/upper/last_session.h"

namespace ovl {
namespace {

constexpr int kExitWrong = 1;

// "1,234 objects".
std::string counted(uint64_t count, const char* one, const char* many) {
  std::string digits = std::to_string(count);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return fmt::format("{} {}", digits, count == 1 ? one : many);
}

struct Tally {
  uint64_t errors = 0, notes = 0, repairable = 0;
  explicit Tally(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      (finding.severity() == Severity::kError ? errors : notes)++;
      if (finding.can_repair()) repairable++;
    }
  }
  std::string text() const {
    if (errors == 0 && notes == 0) return "nothing is wrong";
    std::string text;
    if (errors != 0) text = counted(errors, "error", "errors");
    if (notes != 0)
      text +=
          (text.empty() ? "" : ", ") + counted(notes, "harmless leftover", "harmless leftovers");
    return text;
  }
};

void print(const std::vector<Finding>& findings, bool mended) {
  for (const Finding& finding : findings) {
    const FindingText& texts = text_of(finding.kind);
    fmt::print("{}{}\n", line_of(finding),
               texts.repair == nullptr ? " (can't be repaired)"
               : mended                ? fmt::format(" (repaired: {})", texts.repaired)
                                       : fmt::format(" (repair: {})", texts.repair));
  }
}

int conclude(const CheckReport& report, const CheckOptions& options, uint64_t repaired) {
  const Tally tally(report.findings);
  std::string line = fmt::format("check: {} checked: {}",
                                 counted(report.objects, "object", "objects"), tally.text());
  if (repaired != 0) line += fmt::format("; {} repaired", repaired);
  if (!options.repair && tally.repairable != 0)
    line += fmt::format("; --repair can mend {}", tally.repairable);
  for (const std::string& unchecked : report.unchecked)
    complain(fmt::format("check: not checked: {}", unchecked));
  if (options.verbose && report.needless_mark)
    complain(
        "check: nothing in the upper needs the mark of the unportable any more: 'ovlrun "
        "settle' takes it away");
  complain(line);
  if (tally.errors != 0) return kExitWrong;
  return report.unchecked.empty() ? 0 : kExitFailure;
}

int check_only(const UpperSource& source, Below below, const NamedUpper& named,
               const CheckOptions& options) {
  const CheckReport report = check_upper(source, below);
  check_readable(named.upper, named.work);  // what somebody is changing can't be judged
  print(report.findings, false);
  return conclude(report, options, 0);
}

int check_and_repair(const UpperSource& source, const NamedUpper& named,
                     const CheckOptions& options) {
  const HeldUpper held(named, source.prefix);
  if (!source.work.empty()) open_work(source.work);
  const CheckReport before = check_upper(source);
  repair(source, before.findings);
  const CheckReport after = check_upper(source);
  std::vector<Finding> mended;
  for (const Finding& finding : before.findings)
    if (std::find(after.findings.begin(), after.findings.end(), finding) == after.findings.end())
      mended.push_back(finding);
  print(mended, true);
  print(after.findings, false);
  return conclude(after, options, mended.size());
}

}  // namespace

int check_main(const CheckOptions& options) {
  const NamedUpper named = named_upper("check", options.pair.upper, options.pair.work);
  const auto prefix = options.prefix_given ? std::optional(options.prefix) : std::nullopt;
  const LastSession last = last_session(named, options.pair, prefix,
                                        options.repair ? PlanFor::kSession : PlanFor::kLook);
  if (last.prefix == XattrPrefix::kTrusted && geteuid() != 0)
    fail("check: --xattr=trusted: only root may read trusted xattrs");
  UpperSource source = {last.overlay.at,     last.overlay.upper, last.overlay.work,
                        last.overlay.lowers, last.prefix,        last.overlay.data_lowers};
  struct stat st;
  if (stat(source.work.c_str(), &st) != 0) source.work.clear();
  if (!last.other_layers.empty()) {
    if (options.repair)
      fail("check: {}; if it does fit, run a session over it first", last.other_layers);
    complain("check: " + last.other_layers);
  }
  // What is made there would be root's, and the other user's sessions could not read it.
  if (options.repair && !source.work.empty() && st.st_uid != geteuid())
    fail("check: --repair: --work {} belongs to another user: let that one repair it",
         quote(source.work));
  if (options.repair && last.other_upper)
    fail(
        "check: --repair: --work {} is that of another upper ({}); if both were copied, run a "
        "session over it first",
        quote(source.work), quote(named.recorded->upper));
  const bool same = last.other_layers.empty() && !last.other_upper;
  const Below below = same ? Below::kSame : Below::kPerhapsOthers;
  return options.repair ? check_and_repair(source, named, options)
                        : check_only(source, below, named, options);
}

}  // namespace ovl
