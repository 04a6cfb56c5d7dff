// name_to_disk(), name_from_disk(): what a program stores it gets back under the same name, and no
// stored name is hidden.
#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("user.overlay.overlay.foo"),
    FUZZ_SEED("trusted.overlay.foo"),
    FUZZ_SEED("user.containers.override_security.capability"),
    FUZZ_SEED("security.capability"),
    FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  if (size > 255) return 0;
  const Str name(reinterpret_cast<const char*>(data), size);
  for (XattrPrefix prefix : {XattrPrefix::kUser, XattrPrefix::kTrusted})
    for (bool store_security : {false, true}) {
      char block[4096];
      Arena arena(block, sizeof block, nullptr, nullptr);
      CStr stored, shown;
      switch (name_to_disk(arena, prefix, name, store_security, &stored)) {
        case NameClass::kStored:
          require(name_from_disk(arena, prefix, stored, &shown) == NameClass::kStored);
          require(shown == name);
          break;
        case NameClass::kPlain:
          // Stored as it is, and not taken for one of ours.
          require(name_from_disk(arena, prefix, name, &shown) == NameClass::kPlain);
          break;
        case NameClass::kHidden:
          break;
      }
    }
  return 0;
}
