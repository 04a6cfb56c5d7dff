// decode_filling(): what it accepts is written back as the same bytes.
#include <string.h>

#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("\x01\0\0\0\0\0\0\0"
              "\x02\0\0\0"
              "\x03\0\0\0\0\0\0\0"
              "\x04\0\0\0"
              "\x05\0\0\0\0\0\0\0\x01"),
    FUZZ_SEED("\xff\xff\xff\xff\xff\xff\xff\xff"
              "\xff\xc9\x9a\x3b"
              "\xff\xff\xff\xff\xff\xff\xff\xff"
              "\xff\xc9\x9a\x3b"
              "\xff\xff\xff\xff\xff\xff\xff\x7f\x03"),
    FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  Filling filling;
  if (!decode_filling(data, size, &filling).ok()) return 0;
  uint8_t back[kFillingSize];
  encode_filling(filling, back);
  require(size == sizeof back && memcmp(back, data, size) == 0);
  return 0;
}
