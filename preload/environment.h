// The program's environment, read without getenv: bash has one of its own.
#pragma once

#include <string.h>

#include "core/base/str.h"

extern "C" char** environ;

namespace ovl {

// The value of a variable, or nullptr.
inline const char* environment(Str name) {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; entry++) {
    const char* text = *entry;
    size_t i = 0;
    while (i < name.size() && text[i] == name[i]) i++;
    if (i == name.size() && text[i] == '=') return text + i + 1;
  }
  return nullptr;
}

}  // namespace ovl
