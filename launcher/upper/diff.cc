// ovlrun diff: prints what an upper changes.
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/session/config.h"
#include "launcher/session/plan.h"
#include "launcher/upper/changes.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

UpperSource source_of(const DiffOptions& options) {
  UpperSource source;
  const std::string given = options.upper ? *options.upper : newest_upper("diff");
  struct stat st;
  if (stat(given.c_str(), &st) != 0) fail("--upper {}: {}", quote(given), error_text(errno));
  if (!S_ISDIR(st.st_mode)) fail("--upper {}: {}", quote(given), error_text(ENOTDIR));
  source.upper = canonical(given);
  const std::string work = options.work ? canonical(*options.work) : default_work(source.upper);
  const std::optional<RecordedConfig> recorded = read_config(work);
  if (stat(work.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) source.work = work;
  source.lowers = options.lowers;
  source.data_lowers = options.data_lowers;
  if (source.lowers.empty()) {
    if (!recorded) fail("diff: no session is recorded in {}: give --lower, or --work", quote(work));
    source.lowers = recorded->lowers;
    source.data_lowers = recorded->data_lowers;
  }
  const auto check = [&](std::string& lower) {
    if (stat(lower.c_str(), &st) != 0) fail("--lower {}: {}", quote(lower), error_text(errno));
    if (!S_ISDIR(st.st_mode)) fail("--lower {}: {}", quote(lower), error_text(ENOTDIR));
    lower = canonical(lower);
  };
  for (std::string& lower : source.lowers) check(lower);
  for (std::string& lower : source.data_lowers) check(lower);
  source.at = options.at               ? canonical(*options.at)
              : options.lowers.empty() ? recorded->at
                                       : source.lowers[0];
  source.prefix = options.prefix_given || !recorded ? options.prefix : recorded->prefix;
  return source;
}

}  // namespace

int diff_main(const DiffOptions& options) {
  for (const Change& change : changes_of(source_of(options))) {
    const char kind = static_cast<char>(change.kind);
    const bool renamed = change.kind == ChangeKind::kRenamed;
    if (options.null)
      fmt::print("{} {}{}{}{}", kind, renamed ? change.old_path : change.path, '\0',
                 renamed ? change.path : "", renamed ? std::string(1, '\0') : "");
    else if (renamed)
      fmt::print("{} {} -> {}\n", kind, quote(change.old_path), quote(change.path));
    else
      fmt::print("{} {}\n", kind, quote(change.path));
  }
  return 0;
}

}  // namespace ovl
