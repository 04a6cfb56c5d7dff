// check_redirect(): what it accepts can be appended to a layer's root without leaving the layer.
#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("name"),         FUZZ_SEED("/a/b/c"), FUZZ_SEED("/a/../b"),
    FUZZ_SEED("/.hidden/..x"), FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  const Str value(reinterpret_cast<const char*>(data), size);
  if (!check_redirect(value).ok()) return 0;
  require(!value.empty() && value.back() != '/' && value.find('\0') == SIZE_MAX);
  if (value[0] != '/') require(value.find('/') == SIZE_MAX);
  for (size_t at = value[0] == '/' ? 1 : 0; at <= size;) {
    size_t end = value.find('/', at);
    if (end == SIZE_MAX) end = size;
    const Str part = value.sub(at, end - at);
    require(!part.empty() && !(part == Str(".")) && !(part == Str("..")));
    at = end + 1;
  }
  return 0;
}
