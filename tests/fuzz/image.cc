// inspect_image() and run_path(): any bytes as a program's file.
#include "core/exec/image.h"

#include <string.h>

#include "core/exec/libraries.h"
#include "core/sys/scratch.h"
#include "tests/fuzz/fuzz.h"

const FuzzSeed kFuzzSeeds[] = {
    FUZZ_SEED("#!/bin/sh -e\n"),
    FUZZ_SEED("\x7f"
              "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\x3e\0\1\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0"
              "\0\0\0\0\0\0"
              "\0\0\0\0\x40\0\x38\0\1\0\0\0\0\0\0\0\3\0\0\0\4\0\0\0\x78\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
              "\0\0\0\0\0\0\0\0\0"
              "\4\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0/ld\0"),
    FUZZ_SEEDS_END,
};

namespace {

class Bytes : public ovl::ByteSource {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  ovl::Result<size_t> read(void* out, size_t size, uint64_t offset) override {
    if (offset >= size_) return size_t{0};
    if (size > size_ - offset) size = size_ - offset;
    memcpy(out, data_ + offset, size);
    return size;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ovl;
  Scratch scratch;
  Bytes source(data, size);
  Result<Image> image = inspect_image(scratch.arena(), source);
  if (image.ok() &&
      (image.value().kind == ImageKind::kScript || image.value().kind == ImageKind::kDynamic))
    require(image.value().interpreter.data()[image.value().interpreter.size()] == 0);
  Result<CStr> path = run_path(scratch.arena(), source);
  if (path.ok()) require(strlen(path.value().c_str()) == path.value().size());
  return 0;
}
