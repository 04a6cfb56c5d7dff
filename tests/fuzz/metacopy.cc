// decode_metacopy().
#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED(""),
    FUZZ_SEED("\x00\x04\x00\x00"),
    FUZZ_SEED("\x00\x24\x00\x01"
              "0123456789abcdef0123456789abcdef"),
    FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const bool ok = ovl::decode_metacopy(data, size).ok();
  require(ok == (size == 0 || (size >= 4 && size <= 68 && data[0] == 0 && data[1] == size)));
  return 0;
}
