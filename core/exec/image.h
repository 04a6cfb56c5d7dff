// What kind of program a file is, from its first bytes. Kernel counterpart: fs/binfmt_script.c,
// fs/binfmt_elf.c. Everything here parses bytes that somebody else wrote: no field is believed
// before it is checked.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/base/str.h"

namespace ovl {

constexpr size_t kImageHead = 256;  // BINPRM_BUF_SIZE

enum class ImageKind : uint8_t {
  kScript,      // "#!": interpreter and perhaps one argument
  kDynamic,     // ELF for this architecture with a program interpreter
  kLoader,      // ELF for this architecture without one: static, or a dynamic loader itself
  kForeign,     // ELF of another class or machine
  kUnreadable,  // executable, but only the kernel may look into it
  kUnknown,     // the kernel will say ENOEXEC, or knows it by binfmt_misc
};

struct Image {
  ImageKind kind = ImageKind::kUnknown;
  CStr interpreter;  // kScript, kDynamic; kForeign: of a 32-bit program of this machine
  CStr argument;     // kScript; has_argument
  bool has_argument = false;
  CStr run_path;  // kDynamic: exec/libraries.h
};

// The "#!" line in a file's head. Errors: ENOEXEC (no interpreter, or cut off by the head's end),
// ENOMEM.
Result<Image> parse_script(Arena& arena, Str head);

// ELF header and program headers; `read` gives bytes at an offset (fewer at the end). Errors:
// ENOEXEC.
class ByteSource {
 public:
  virtual Result<size_t> read(void* out, size_t size, uint64_t offset) = 0;

 protected:
  ~ByteSource() = default;
};
Result<Image> parse_elf(Arena& arena, ByteSource& source);

// Either of them, by the magic bytes.
Result<Image> inspect_image(Arena& arena, ByteSource& source);

}  // namespace ovl
