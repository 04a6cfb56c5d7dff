// Is there an order of the calls, each somewhere between its beginning and its end, that gives the
// answers they got? Search as by Wing and Gong, with Lowe's memory of what led nowhere.
//
// What is one moment and what is not, as in Linux: a change of names is one, with the walk to it;
// what acts on an object finds it at one moment and acts on it at another, whatever its name has
// become; a listing sees each name at a moment of its own; so does who opens see content and size.
#pragma once

#include "tests/unit/linear/tree.h"

namespace linear {

enum class Verdict : uint8_t { kExplained, kRefused, kTooLong };

// A task has one call at a time.
Verdict linearize(const Tree& before, const History& history);

// Without what has changed nothing, as long as it stays refused: shorter to read.
History shortest_refused(const Tree& before, const History& history);

}  // namespace linear
