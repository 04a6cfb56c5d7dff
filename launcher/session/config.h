// "<work>/ovlrun/config": what the last session was, for `ovlrun diff` and for people. One
// "key=value" per line; bytes that would break a line are written as \ooo.
#pragma once

#include <optional>
#include <string>

#include "launcher/options.h"
#include "launcher/session/plan.h"

namespace ovl {

std::string config_text(const PlannedOverlay& overlay, const RunOptions& options);

struct RecordedConfig {
  std::string at, upper;
  std::vector<std::string> lowers, data_lowers;
  std::vector<std::string> roots;  // see identity.h; none: an older version wrote it
  std::string upper_root;
  XattrPrefix prefix = XattrPrefix::kUser;
};
// nullopt: no session has used this workdir.
std::optional<RecordedConfig> read_config(const std::string& work);

}  // namespace ovl
