// Does `ovlrun check` find an upper sound?
#pragma once

#include <string>

#include "tests/model/stage.h"

namespace model {

// What is wrong with a side's upper; empty: nothing. Of the kernel's it can only be a false alarm.
std::string what_is_wrong(const Stage& stage, const std::string& side);

}  // namespace model
