// The function that a program would have got without us: dlsym(RTLD_NEXT). Only for functions that
// are no thin wrapper of a system call, and that cannot come before the loader is ready.
#pragma once

#include <errno.h>

#include <atomic>

namespace ovl {

// nullptr and errno ENOSYS when no object behind us defines it.
void* next_symbol(const char* name);

// Looked up at the first call: `static Next<char*(const char*)> next("ctermid"); ... next.get()`.
template <class Function>
class Next {
 public:
  constexpr explicit Next(const char* name) : name_(name) {}
  Function* get() {
    void* found = found_.load(std::memory_order_acquire);
    if (found == nullptr) {
      found = next_symbol(name_);
      found_.store(found, std::memory_order_release);
    }
    return reinterpret_cast<Function*>(found);
  }

 private:
  const char* name_;
  std::atomic<void*> found_{nullptr};
};

}  // namespace ovl
