// decode_override_stat(): what it accepts is written back as something that it reads as the same.
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("1000:1011:0644:file"),
    FUZZ_SEED("0:6:0660:block-8-0"),
    FUZZ_SEED("0:0:0666:char1:3"),
    FUZZ_SEED("0:0:4755"),
    FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  OverrideStat stat;
  if (!decode_override_stat(Str(reinterpret_cast<const char*>(data), size), &stat).ok()) return 0;
  require((stat.mode & ~(S_IFMT | 07777u)) == 0 && stat.has_type == ((stat.mode & S_IFMT) != 0));
  if (!stat.has_type) return 0;
  char text[kOverrideStatMax];
  const size_t n = encode_override_stat(stat, text);
  require(n <= sizeof text);
  OverrideStat back;
  require(decode_override_stat(Str(text, n), &back).ok());
  require(back.uid == stat.uid && back.gid == stat.gid && back.mode == stat.mode);
  require(back.rdev_major == stat.rdev_major && back.rdev_minor == stat.rdev_minor);
  return 0;
}
