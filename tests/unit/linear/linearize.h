// Is there an order of the calls, each somewhere between its beginning and its end, that gives the
// answers they got? Search as by Wing and Gong, with Lowe's memory of what led nowhere.
//
// What is one moment and what is not, as in Linux: names on the way are looked up one after the
// other, and what they have led to may be moved or removed meanwhile; a change of names is one
// moment then; what acts on an object, or looks at it, does that later than it finds it, whatever
// its name has become; a listing sees each name at a moment of its own; so does who opens see
// content and size.
#pragma once

#include "tests/unit/linear/tree.h"

namespace linear {

enum class Verdict : uint8_t { kExplained, kRefused, kTooLong };

// A task has one call at a time.
Verdict linearize(const Tree& before, const History& history);

// Without what has changed nothing, as long as it stays refused: shorter to read.
History shortest_refused(const Tree& before, const History& history);

}  // namespace linear
