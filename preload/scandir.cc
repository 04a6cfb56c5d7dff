// scandir(3) on our streams.
#include <stdlib.h>

#include "preload/call.h"
#include "preload/dir.h"
#include "preload/interposers.h"

namespace ovl {
namespace {

// A growing list of malloc'ed copies.
struct List {
  struct dirent** items = nullptr;
  size_t count = 0;
  size_t room = 0;

  bool add(const struct dirent* entry) {
    if (count == room) {
      const size_t more = room == 0 ? 16 : room * 2;
      auto** grown = static_cast<struct dirent**>(realloc(items, more * sizeof *items));
      if (grown == nullptr) return false;
      items = grown;
      room = more;
    }
    void* copy = malloc(entry->d_reclen);
    if (copy == nullptr) return false;
    items[count++] = static_cast<struct dirent*>(memcpy(copy, entry, entry->d_reclen));
    return true;
  }
  void drop() {
    for (size_t i = 0; i < count; i++) free(items[i]);
    free(items);
  }
};

}  // namespace

int ip_scandirat(int dirfd, const char* path, struct dirent*** result, ScandirSelect select,
                 ScandirCompare compare) {
  DIR* dir = open_directory_at(dirfd, path);
  if (dir == nullptr) return -1;
  ErrnoSaver saver;
  List list;
  int error = 0;
  for (;;) {
    errno = 0;
    struct dirent* entry = ip_readdir(dir);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    if (select != nullptr && select(entry) == 0) continue;
    if (!list.add(entry)) {
      error = ENOMEM;
      break;
    }
  }
  ip_closedir(dir);
  if (error != 0) {
    list.drop();
    saver.fail(error);
    return -1;
  }
  if (compare != nullptr && list.count > 1)
    qsort(list.items, list.count, sizeof *list.items,
          reinterpret_cast<int (*)(const void*, const void*)>(compare));
  *result = list.items;
  return static_cast<int>(list.count);
}

int ip_scandir(const char* path, struct dirent*** list, ScandirSelect select,
               ScandirCompare compare) {
  return ip_scandirat(AT_FDCWD, path, list, select, compare);
}

}  // namespace ovl
