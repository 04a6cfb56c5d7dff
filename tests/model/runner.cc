#include "tests/model/runner.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/model/sound.h"
#include "tests/model/words.h"

namespace model {
namespace {

const std::string kByKernel = "session by-kernel";

std::string walks() { return "0 walk {T}\n0 walk {T}/../out\n"; }

// How a side ended, where that is no ordinary end.
std::string ending(const Answer& answer) {
  if (answer.status == 0) return "";
  return (WIFEXITED(answer.status) ? fmt::format("exit {}", WEXITSTATUS(answer.status))
                                   : fmt::format("signal {}", WTERMSIG(answer.status))) +
         (answer.messages.empty() ? "" : " " + answer.messages);
}

void skip_without_mount(const Answer& answer) {
  if (WIFEXITED(answer.status) && WEXITSTATUS(answer.status) == 77)
    throw Skipped{"no kernel overlay mount: " + answer.messages};
}

// An ordinary user's own look at an upper ends where a mode closes it, that of the kernel's mount
// does not.
bool hides_something(const Answer& answer) {
  return geteuid() != 0 &&
         (answer.lines.empty() || answer.lines[0].find("=EACCES") != std::string::npos);
}

// The variant as deviations know it: with what in the sequence some of them are about.
std::string described(const Variant& variant, const Form& form, const Sequence& sequence) {
  bool links = false, fifos = false, free = false;
  for (const Entry& entry : sequence.tree) {
    links |= entry.kind == "hard";
    fifos |= entry.kind == "fifo";
  }
  for (const std::string& step : sequence.steps) {
    fifos |= step.find("S_IFIFO") != step.npos;
    free |= step.find(" free ") != step.npos;
  }
  const bool before =
      std::find(sequence.steps.begin(), sequence.steps.end(), kByKernel) != sequence.steps.end();
  return std::string(variant.name) + (links ? "+hard" : "") + (fifos ? "+fifo" : "") +
         (free ? "+free" : "") + (before ? "+kernel" : "") + (form.trapped ? "+trapped" : "");
}

}  // namespace

Setting Runner::setting(const char* side) const {
  const Variant& variant = stage_->variant();
  Setting setting;
  setting.upper = stage_->upper(side);
  setting.as_root = variant.as_root;
  setting.user_xattrs = variant.kernel == Kernel::kNamespace;
  setting.trusted_xattrs = variant.as_root;
  return setting;
}

void Runner::by_kernel(const std::vector<std::string>& steps) {
  std::string script;
  for (const std::string& step : steps) script += step + "\n";
  script = with_tree(script, stage_->tree());
  for (const char* side : {"kernel", "ours"}) {
    Setting there = setting(side);
    there.our_surroundings = side == std::string("ours");
    skip_without_mount(Run::kernel(*stage_, form_, programs_, there, script).wait());
  }
}

// False: the comparison is at its end.
bool Runner::session(const std::vector<std::string>& steps, size_t number, bool first,
                     Comparison* comparison) {
  std::string script = "0 lstat {T}\n";
  if (first) script += walks();
  for (const std::string& step : steps) script += step + "\n";
  script += walks();
  std::vector<std::string> lines;
  for (size_t at = 0; at < script.size(); at = script.find('\n', at) + 1)
    lines.push_back(script.substr(at, script.find('\n', at) - at));
  script = with_tree(script, stage_->tree());

  Run kernel = Run::kernel(*stage_, form_, programs_, setting("kernel"), script);
  Run ours = Run::ours(*stage_, form_, programs_, setting("ours"), script);
  const Answer theirs = kernel.wait(), mine = ours.wait();
  skip_without_mount(theirs);

  if (!theirs.lines.empty() && !mine.lines.empty())
    comparison->begin_session(theirs.lines[0], mine.lines[0]);
  for (size_t i = 0; i < std::max(theirs.lines.size(), mine.lines.size()); i++) {
    const auto line = [i](const Answer& answer) {
      return i < answer.lines.size() ? answer.lines[i] : " nothing=" + escape(ending(answer));
    };
    if (!comparison->step(number + i, i < lines.size() ? lines[i] : "0 end", line(theirs),
                          line(mine), first && i == 1))
      return false;
  }
  return comparison->step(number + lines.size(), "0 end", " ended=" + escape(ending(theirs)),
                          " ended=" + escape(ending(mine)));
}

std::optional<Difference> Runner::run(const Sequence& sequence) {
  counts_.sequences++;
  counts_.operations += sequence.operations();
  stage_->make(sequence);
  Comparison comparison(described(stage_->variant(), form_, sequence), deviations_);
  std::vector<std::string> steps;
  size_t number = 0;
  bool first = true, equal = true;
  for (size_t i = 0; i <= sequence.steps.size() && equal; i++) {
    if (i < sequence.steps.size() && !ends_session(sequence.steps[i])) {
      steps.push_back(sequence.steps[i]);
      continue;
    }
    if (i < sequence.steps.size() && sequence.steps[i] == kByKernel) {
      // The objects of the lowers are known before there are others.
      equal = session({}, number, first, &comparison);
      first = false;
      number += 4;
      by_kernel(steps);
      steps.clear();
      continue;
    }
    equal = session(steps, number, first, &comparison);
    number += steps.size() + 4;
    first = false;
    steps.clear();
  }
  if (comparison.difference()) return comparison.difference();
  if (!stage_->layers_are_unchanged())
    return Difference{number, "0 end", "lower", "unchanged", "changed"};
  for (const char* side : {"kernel", "ours"})
    if (const std::string wrong = what_is_wrong(*stage_, side); !wrong.empty())
      return Difference{number, "0 end", fmt::format("check of {}", side), "", wrong};
  if (!equal) {
    counts_.ended_early++;
    return {};
  }
  return sequence.alone ? std::nullopt : crosswise(sequence);
}

// Each side's upper, shown by both.
std::optional<Difference> Runner::crosswise(const Sequence& sequence) {
  const Variant& variant = stage_->variant();
  const std::string script = with_tree("0 walk {T}\n", stage_->tree());
  const struct {
    const char* side;
    bool user_xattrs;
  } uppers[] = {{"kernel", variant.kernel == Kernel::kNamespace}, {"ours", !variant.as_root}};
  for (const auto& upper : uppers) {
    Setting setting;
    setting.upper = stage_->upper(upper.side);
    setting.as_root = geteuid() == 0;
    setting.user_xattrs = upper.user_xattrs;
    setting.trusted_xattrs = !upper.user_xattrs;
    if (!setting.as_root && !upper.user_xattrs) continue;
    // A redirect or metacopy below user.overlay, which the kernel does not follow.
    if (access((setting.upper + ".work/work/incompat/ovlrun").c_str(), F_OK) == 0) {
      counts_.not_portable++;
      continue;
    }
    Run kernel = Run::kernel(*stage_, form_, programs_, setting, script);
    const Answer theirs = kernel.wait();
    skip_without_mount(theirs);
    const Answer mine = Run::ours(*stage_, form_, programs_, setting, script).wait();
    Comparison comparison(described(variant, form_, sequence), deviations_);
    counts_.crosswise++;
    const std::string name = fmt::format("0 upper-of-{}", upper.side);
    if (hides_something(mine)) continue;
    const auto line = [](const Answer& answer) {
      return answer.lines.empty() ? " nothing=" + escape(ending(answer)) : answer.lines[0];
    };
    comparison.step(0, name, line(theirs), line(mine), true);
    if (comparison.difference()) return comparison.difference();
  }
  return {};
}

}  // namespace model
