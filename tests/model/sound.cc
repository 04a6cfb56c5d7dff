#include "tests/model/sound.h"

#include <unistd.h>

#include "launcher/upper/check.h"

namespace model {

std::string what_is_wrong(const Stage& stage, const std::string& side) {
  const Variant& variant = stage.variant();
  const bool trusted = variant.as_root || (side == "kernel" && variant.kernel == Kernel::kRoot);
  ovl::UpperSource source = {stage.tree(), stage.upper(side), stage.upper(side) + ".work"};
  for (int i = 0; i < variant.lowers; i++) source.lowers.push_back(stage.layer(i));
  source.prefix = trusted ? ovl::XattrPrefix::kTrusted : ovl::XattrPrefix::kUser;
  std::string wrong;
  const ovl::CheckReport report = ovl::check_upper(source);
  // Nothing was killed, so nothing is left either.
  for (const ovl::Finding& finding : report.findings) wrong += ovl::line_of(finding) + "; ";
  if (geteuid() == 0)
    for (const std::string& unchecked : report.unchecked) wrong += unchecked + "; ";
  return wrong;
}

}  // namespace model
