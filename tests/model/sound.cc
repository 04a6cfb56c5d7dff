#include "tests/model/sound.h"

#include "launcher/upper/check.h"

namespace model {

std::string what_is_wrong(const Stage& stage, const std::string& side) {
  const Variant& variant = stage.variant();
  const bool trusted = variant.as_root || (side == "kernel" && variant.kernel == Kernel::kRoot);
  ovl::UpperSource source = {stage.tree(), stage.upper(side), stage.upper(side) + ".work"};
  for (int i = 0; i < variant.lowers; i++) source.lowers.push_back(stage.layer(i));
  source.prefix = trusted ? ovl::XattrPrefix::kTrusted : ovl::XattrPrefix::kUser;
  std::string wrong;
  // Nothing was killed, so nothing is left either.
  for (const ovl::Finding& finding : ovl::check_upper(source).findings)
    wrong += ovl::line_of(finding) + "; ";
  return wrong;
}

}  // namespace model
