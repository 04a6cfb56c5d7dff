// See image.h.
#include "core/exec/image.h"

#include <elf.h>
#include <limits.h>
#include <stddef.h>

namespace ovl {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64, kMachine32 = EM_386;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64, kMachine32 = EM_ARM;
#endif

constexpr uint16_t kProgramHeadersMost = 256;

bool blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

Result<Image> parse_script(Arena& arena, Str head) {
  Str line = head.sub(2);
  size_t end = line.find('\n');
  const bool whole = end != SIZE_MAX || head.size() < kImageHead;
  if (end != SIZE_MAX) line = line.sub(0, end);
  size_t nul = line.find('\0');
  if (nul != SIZE_MAX) line = line.sub(0, nul);
  while (!line.empty() && blank(line.back())) line = line.sub(0, line.size() - 1);
  while (!line.empty() && blank(line[0])) line = line.sub(1);
  if (line.empty()) return Error(ENOEXEC);
  size_t name_end = 0;
  while (name_end < line.size() && !blank(line[name_end])) name_end++;
  // A name that the head's end cut off is no name; a cut argument is what the kernel passes, too.
  if (!whole && name_end == line.size()) return Error(ENOEXEC);
  Image image;
  image.kind = ImageKind::kScript;
  image.interpreter = arena.dup(line.sub(0, name_end));
  Str argument = line.sub(name_end);
  while (!argument.empty() && blank(argument[0])) argument = argument.sub(1);
  image.has_argument = !argument.empty();
  image.argument = arena.dup(argument);
  if (image.interpreter.data() == nullptr || image.argument.data() == nullptr) return Error(ENOMEM);
  return image;
}

namespace {

// What differs between the classes of ELF.
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Segment = Elf64_Phdr;
  static constexpr ImageKind kLinked = ImageKind::kDynamic, kUnlinked = ImageKind::kLoader;
};
struct Elf32 {
  using Header = Elf32_Ehdr;
  using Segment = Elf32_Phdr;
  static constexpr ImageKind kLinked = ImageKind::kForeign, kUnlinked = ImageKind::kForeign;
};

template <class Elf>
Result<Image> parse_segments(Arena& arena, ByteSource& source) {
  typename Elf::Header header;
  if (TRY(source.read(&header, sizeof header, 0)) != sizeof header) return Error(ENOEXEC);
  typename Elf::Segment segment;
  if (header.e_phentsize != sizeof segment || header.e_phnum == 0 ||
      header.e_phnum > kProgramHeadersMost)
    return Error(ENOEXEC);
  Image image;
  image.kind = Elf::kUnlinked;
  for (uint16_t i = 0; i < header.e_phnum; i++) {
    if (TRY(source.read(&segment, sizeof segment, header.e_phoff + i * sizeof segment)) !=
        sizeof segment)
      return Error(ENOEXEC);
    if (segment.p_type != PT_INTERP) continue;
    if (segment.p_filesz < 2 || segment.p_filesz > PATH_MAX) return Error(ENOEXEC);
    char* name = arena.array<char>(segment.p_filesz);
    if (name == nullptr) return Error(ENOMEM);
    if (TRY(source.read(name, segment.p_filesz, segment.p_offset)) != segment.p_filesz ||
        name[segment.p_filesz - 1] != 0)
      return Error(ENOEXEC);
    image.kind = Elf::kLinked;
    image.interpreter = CStr(name, strlen(name));
    return image;
  }
  return image;
}

}  // namespace

Result<Image> parse_elf(Arena& arena, ByteSource& source) {
  Elf64_Ehdr header;
  const size_t n = TRY(source.read(&header, sizeof header, 0));
  if (n < EI_NIDENT) return Error(ENOEXEC);
  const bool whole = n >= offsetof(Elf64_Ehdr, e_version);  // the same place in both classes
  if (whole && header.e_ident[EI_DATA] == ELFDATA2LSB) {
    const unsigned elf_class = header.e_ident[EI_CLASS];
    if (elf_class == ELFCLASS64 && header.e_machine == kMachine && n == sizeof header)
      return parse_segments<Elf64>(arena, source);
    if (elf_class == ELFCLASS32 && header.e_machine == kMachine32)
      return parse_segments<Elf32>(arena, source);
  }
  Image image;
  image.kind = ImageKind::kForeign;
  return image;
}

Result<Image> inspect_image(Arena& arena, ByteSource& source) {
  char* head = arena.array<char>(kImageHead);
  if (head == nullptr) return Error(ENOMEM);
  size_t n = TRY(source.read(head, kImageHead, 0));
  const Str bytes(head, n);
  if (bytes.starts_with("#!")) return parse_script(arena, bytes);
  if (bytes.starts_with(ELFMAG)) return parse_elf(arena, source);
  return Image();
}

}  // namespace ovl
