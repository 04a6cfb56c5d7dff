// Makes a sequence that differs as short as it can be.
#pragma once

#include <functional>
#include <optional>

#include "tests/model/compare.h"
#include "tests/model/sequence.h"

namespace model {

using Try = std::function<std::optional<Difference>(const Sequence&)>;

// The shortest sequence found whose difference has the signature of `difference`, which becomes the
// one of the result.
Sequence shrink(Sequence sequence, Difference* difference, const Try& run);

}  // namespace model
