// What the fuzz targets share. A target checks its decoder's promises with require(), beside what
// the sanitizers see.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/format/format.h"

// seeds: well-formed inputs that the replay program mutates; ends with size SIZE_MAX.
struct FuzzSeed {
  const char* data;
  size_t size;
};
#define FUZZ_SEED(literal) \
  { literal, sizeof(literal) - 1 }
#define FUZZ_SEEDS_END \
  { nullptr, SIZE_MAX }
extern const FuzzSeed kFuzzSeeds[];

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

inline void require(bool promise) {
  if (!promise) __builtin_trap();
}
