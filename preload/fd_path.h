// "/proc/self/fd/N": the file behind a descriptor, as a path.
#pragma once

#include <string.h>

namespace ovl {

struct FdPath {
  char text[40] = "/proc/self/fd/";
  explicit FdPath(int fd) {
    char digits[12];
    int count = 0;
    for (int left = fd; count == 0 || left > 0; left /= 10)
      digits[count++] = static_cast<char>('0' + left % 10);
    char* w = text + strlen(text);
    while (count > 0) *w++ = digits[--count];
    *w = 0;
  }
};

}  // namespace ovl
