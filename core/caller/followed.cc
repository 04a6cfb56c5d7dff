// See followed.h.
#include "core/caller/followed.h"

namespace ovl {
namespace {

struct Entry {  // struct linux_dirent64
  uint64_t ino;
  int64_t off;
  uint16_t size;
  uint8_t type;
  char name[];
};

// "." and ".." are none.
int number_in(const char* name) {
  if (name[0] < '0' || name[0] > '9') return -1;
  int number = 0;
  for (; *name != 0; name++) number = number * 10 + (*name - '0');
  return number;
}

}  // namespace

Result<DescriptorList> list_descriptors(Arena& arena, int dir, int own) {
  alignas(Entry) char buffer[1024];
  int* numbers = nullptr;
  uint32_t count = 0, room = 0;
  for (;;) {
    const size_t n = TRY(sys_getdents64(dir, buffer, sizeof buffer));
    if (n == 0) return DescriptorList{numbers, count};
    for (size_t at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->size;
      const int number = number_in(entry->name);
      if (number < 0 || number == own) continue;
      if (count == room) {
        room = room == 0 ? 64 : room * 2;
        int* more = arena.array<int>(room);
        if (more == nullptr) return Error(ENOMEM);
        if (count != 0) memcpy(more, numbers, count * sizeof *numbers);
        numbers = more;
      }
      numbers[count++] = number;
    }
  }
}

}  // namespace ovl
