// decode_nlink(): never 0 links.
#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("U+0"),          FUZZ_SEED("L-1"), FUZZ_SEED("U+2147483647"),
    FUZZ_SEED("L-2147483647"), FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  const Str value(reinterpret_cast<const char*>(data), size);
  for (uint32_t nlink : {0u, 1u, 3u, 0xffffffffu}) {
    Result<uint32_t> r = decode_nlink(value, nlink, nlink);
    if (r.ok()) require(r.value() > 0);
  }
  return 0;
}
