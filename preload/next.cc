// See next.h.
#include "preload/next.h"

// dlsym stood in libdl until glibc 2.34; its first version exists in both. Weak: without libdl in
// an old process there is none.
extern "C" void* ovl_dlsym(void* handle, const char* name) __attribute__((weak));
__asm__(".symver ovl_dlsym, dlsym@GLIBC_2.2.5");

namespace ovl {

void* next_symbol(const char* name) {
  void* const kNext = reinterpret_cast<void*>(-1l);  // RTLD_NEXT
  void* found = ovl_dlsym != nullptr ? ovl_dlsym(kNext, name) : nullptr;
  if (found == nullptr) errno = ENOSYS;
  return found;
}

}  // namespace ovl
