// parse_xattr_list(): reads nothing beyond the list, and finds only names of the prefix.
#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("user.overlay.opaque\0user.overlay.origin\0"),
    FUZZ_SEED("user.foo\0security.selinux\0user.containers.override_stat\0"),
    FUZZ_SEED("trusted.overlay.metacopy\0trusted.overlay.redirect\0"),
    FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  const auto* list = reinterpret_cast<const char*>(data);
  PrivSet user = parse_xattr_list(XattrPrefix::kUser, list, size);
  PrivSet trusted = parse_xattr_list(XattrPrefix::kTrusted, list, size);
  require(user.has(Priv::kOverrideStat) == trusted.has(Priv::kOverrideStat));
  if (size < strlen("user.overlay.uuid")) require(user.empty());
  return 0;
}
