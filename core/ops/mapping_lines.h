// What the caller has mapped, line by line as /proc/PID/maps tells it (proc(5)).
#pragma once

#include "core/caller/op.h"

namespace ovl {

// "7f00-7f10 rw-s 00001000 08:01 1234      /path"
struct MappingLine {
  uintptr_t from, to;
  bool readable, writable, executable, shared;
  uint64_t offset;
  uint32_t dev_major, dev_minor;
  uint64_t ino;
  Str path;  // real; empty: of no file. Odd bytes are written as \ooo

  explicit MappingLine(Str line);
};

// Sees them in their order; may end it by returning false.
class MappingVisitor {
 public:
  virtual bool see(const MappingLine& line) = 0;

 protected:
  ~MappingVisitor() = default;
};
// Errors: of opening and reading the list; EIO: it isn't what it should be.
Result<void> see_mappings(Op& op, MappingVisitor& visitor);

}  // namespace ovl
