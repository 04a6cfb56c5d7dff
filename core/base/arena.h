// Memory of one operation: a bump allocator over a block from the scratch pool (sys/scratch.h),
// growing by mmap'ed blocks. No malloc: an op may run inside malloc, in a signal handler, in a
// vfork child, and on a small stack. Everything is freed at once when the operation ends.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <initializer_list>
#include <new>

#include "core/base/str.h"

namespace ovl {

class Arena {
 public:
  // Returns another block of at least `bytes` usable bytes, or nullptr.
  using Grow = char* (*)(size_t bytes, void* owner);

  Arena(char* block, size_t size, Grow grow, void* owner)
      : at_(block), end_(block + size), grow_(grow), owner_(owner) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Uninitialised memory, 16-byte aligned; nullptr when the process has no more.
  void* alloc(size_t bytes) {
    bytes = (bytes + 15) & ~size_t{15};
    if (bytes > static_cast<size_t>(end_ - at_)) {
      size_t size = bytes > kGrowth ? bytes : kGrowth;
      char* block = grow_ ? grow_(size, owner_) : nullptr;
      if (block == nullptr) return nullptr;
      at_ = block;
      end_ = block + size;
    }
    char* result = at_;
    at_ += bytes;
    return result;
  }
  // Gives back what the last allocation, `last`, has behind its first `used` bytes: memory that is
  // never touched costs a process nothing, and a fork's child no copy.
  void trim(char* last, size_t used) { at_ = last + ((used + 15) & ~size_t{15}); }
  template <class T>
  T* array(size_t count) {
    return static_cast<T*>(alloc(sizeof(T) * count));
  }
  template <class T>
  T* make() {
    void* p = alloc(sizeof(T));
    return p ? new (p) T() : nullptr;
  }

  // Concatenations, NUL-terminated. data() == nullptr when out of memory.
  CStr concat(Str a, Str b = Str(), Str c = Str(), Str d = Str()) {
    size_t n = a.size() + b.size() + c.size() + d.size();
    char* p = static_cast<char*>(alloc(n + 1));
    if (p == nullptr) return CStr(nullptr, 0);
    char* w = p;
    for (Str s : {a, b, c, d}) {
      if (!s.empty()) memcpy(w, s.data(), s.size());
      w += s.size();
    }
    *w = 0;
    return CStr(p, n);
  }
  CStr dup(Str s) { return concat(s); }
  // dir + "/" + name, with one slash also when dir is "/" .
  CStr join(Str dir, Str name) {
    return dir == Str("/") ? concat(dir, name) : concat(dir, "/", name);
  }

 private:
  static constexpr size_t kGrowth = 128 * 1024;
  char* at_;
  char* end_;
  Grow grow_;
  void* owner_;
};

}  // namespace ovl
