// See mapping_lines.h. Kernel counterpart: show_map_vma().
#include "core/ops/mapping_lines.h"

namespace ovl {
namespace {

constexpr size_t kChunk = 16 * 1024;  // more than a line has: PATH_MAX with each byte as \ooo

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The number that stands at `*at`, which goes behind the character after it.
uint64_t number(Str line, size_t* at, unsigned base) {
  uint64_t value = 0;
  for (; *at < line.size() && digit(line[*at]) >= 0; ++*at)
    value = value * base + static_cast<unsigned>(digit(line[*at]));
  ++*at;
  return value;
}

}  // namespace

MappingLine::MappingLine(Str line) {
  constexpr unsigned kHex = 16, kDecimal = 10;
  size_t at = 0;
  from = number(line, &at, kHex);
  to = number(line, &at, kHex);
  const auto has = [&](size_t i, char c) { return at + i < line.size() && line[at + i] == c; };
  readable = has(0, 'r');
  writable = has(1, 'w');
  executable = has(2, 'x');
  shared = has(3, 's');
  at += 5;
  offset = number(line, &at, kHex);
  dev_major = static_cast<uint32_t>(number(line, &at, kHex));
  dev_minor = static_cast<uint32_t>(number(line, &at, kHex));
  ino = number(line, &at, kDecimal);
  const size_t slash = line.find('/');
  path = slash == SIZE_MAX ? Str() : line.sub(slash);
}

Result<void> see_mappings(Op& op, MappingVisitor& visitor) {
  const Str own = TRY(op.caller().proc_link(op.arena(), "/proc/self"));
  const CStr name = op.arena().concat("/proc/", own, "/maps");
  const UniqueFd fd = TRY(op.caller().open_of_task(name));
  char* text = op.arena().array<char>(kChunk);
  if (text == nullptr) return Error(ENOMEM);
  size_t size = 0;
  for (;;) {
    const size_t n = TRY(sys_read(fd.get(), text + size, kChunk - size));
    if (n == 0) return {};
    size += n;
    size_t begin = 0;
    for (;;) {
      const Str rest(text + begin, size - begin);
      const size_t end = rest.find('\n');
      if (end == SIZE_MAX) break;
      if (!visitor.see(MappingLine(rest.sub(0, end)))) return {};
      begin += end + 1;
    }
    memmove(text, text + begin, size - begin);
    size -= begin;
    if (size == kChunk) return Error(EIO);
  }
}

}  // namespace ovl
