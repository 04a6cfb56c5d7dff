// The function that a program would have got without us: dlsym(RTLD_NEXT). Only for functions that are no thin wrapper of a
// system call, and that cannot come before the loader is ready.
#pragma once

namespace ovl {

// nullptr when no object behind us defines it.
void* next_symbol(const char* name);

template <class Function>
inline Function* next(const char* name) {
  return reinterpret_cast<Function*>(next_symbol(name));
}

}  // namespace ovl
