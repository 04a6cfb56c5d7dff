// decode_origin(), inode_of(): a handle that is accepted is written back as the same bytes, up to
// flags and length.
#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("\x00\xfb\x1d\x00\x01"
              "0123456789abcdef"
              "\x04\x03\x02\x01\x05\x00\x00\x00"),
    FUZZ_SEED("\x00\xfb\x21\x04\x81"
              "0123456789abcdef"
              "\x08\x07\x06\x05\x04\x03\x02\x01\x05\x00\x00\x00"),
    FUZZ_SEED("\x00\xfb\x29\x02\x4d"
              "0123456789abcdef"
              "\x08\x07\x06\x05\x04\x03\x02\x01"
              "rootid00gen0"),
    FUZZ_SEEDS_END,
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  FileHandle handle;
  Result<OriginState> r = decode_origin(data, size, &handle);
  if (!r.ok() || r.value() == OriginState::kUnknown) return 0;
  require(handle.fid_size <= sizeof handle.fid);
  inode_of(handle);
  uint8_t out[kFileHandleMax];
  const size_t n = encode_origin(handle, out);
  require(n == data[2] && n <= size);
  require(memcmp(out + 4, data + 4, n - 4) == 0);
  return 0;
}
