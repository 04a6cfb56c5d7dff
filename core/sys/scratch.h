// The scratch pool: blocks of memory for operations in flight. Each block belongs to one task (by
// tid, so that vfork children, signal handlers and threads never meet in one); a block whose task
// died in the middle of an operation, or exec'ed (a vfork child), is taken back when the pool runs
// out.
#pragma once

#include <stddef.h>

#include "core/base/arena.h"

namespace ovl {

// Owns one block, and the mappings it grew by, for the lifetime of an operation. Async-signal-safe.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  Arena& arena() { return arena_; }

 private:
  static char* grow(size_t bytes, void* self);
  int slot_;      // of the pool; -1: none was free
  void* mapped_;  // chain of mappings of a Scratch without a slot; the pool keeps the others'
  Arena arena_;
};

}  // namespace ovl
