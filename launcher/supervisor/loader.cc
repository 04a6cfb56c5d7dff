// See loader.h. In glibc 2.33 to 2.38 fstat() is
//     mov $AT_EMPTY_PATH,%ecx; lea ""(%rip),%rsi; jmp fstatat      (the first two in any order)
// and fstatat()
//     ...; mov $SYS_newfstatat,%eax; syscall
#include "launcher/supervisor/loader.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <string_view>

#include "core/base/unique_fd.h"

namespace ovl {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kCall = "\xb8\x06\x01\x00\x00\x0f\x05"sv;
constexpr std::string_view kFlag = "\xb9\x00\x10\x00\x00"sv;
constexpr std::string_view kString = "\x48\x8d\x35"sv;  // and the distance
constexpr size_t kStringSize = 7;
constexpr uint32_t kPage = 4096;
constexpr size_t kSizeMost = 16 * 1024 * 1024;

class Object {
 public:
  explicit Object(std::string_view bytes) : bytes_(bytes) {
    Elf64_Ehdr header;
    if (!get(0, &header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_machine != EM_X86_64 || header.e_phentsize != sizeof(Elf64_Phdr))
      return;
    offset_ = header.e_phoff;
    count_ = header.e_phnum;
  }

  std::optional<LoaderCall> find() const {
    Elf64_Phdr segment;
    for (unsigned i = 0; (segment_at(i, &segment)); i++) {
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      if (segment.p_offset > bytes_.size()) continue;
      const std::string_view code = bytes_.substr(segment.p_offset, segment.p_filesz);
      const size_t call = code.find(kCall);
      const auto string = empty_string(code, segment.p_vaddr);
      if (call == std::string_view::npos || !string) continue;
      const uint64_t behind = segment.p_vaddr + call + kCall.size();
      return LoaderCall{static_cast<uint32_t>(behind % kPage),
                        static_cast<uint32_t>(*string - behind)};
    }
    return std::nullopt;
  }

 private:
  template <class T>
  bool get(uint64_t offset, T* out) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof *out) return false;
    memcpy(out, bytes_.data() + offset, sizeof *out);
    return true;
  }

  bool segment_at(unsigned i, Elf64_Phdr* out) const {
    return i < count_ && get(offset_ + i * sizeof *out, out);
  }

  // Address of the string that fstat() gives.
  std::optional<uint64_t> empty_string(std::string_view code, uint64_t address) const {
    for (size_t at = code.find(kFlag); at != std::string_view::npos;
         at = code.find(kFlag, at + 1)) {
      const size_t behind = at + kFlag.size();
      for (const size_t string : {behind, at - kStringSize}) {
        int32_t distance;
        if (string >= code.size() || code.size() - string < kStringSize ||
            code.substr(string, kString.size()) != kString)
          continue;
        memcpy(&distance, code.data() + string + kString.size(), sizeof distance);
        const uint64_t target =
            address + string + kStringSize + static_cast<uint64_t>(int64_t{distance});
        if (is_constant_nul(target)) return target;
      }
    }
    return std::nullopt;
  }

  bool is_constant_nul(uint64_t address) const {
    Elf64_Phdr segment;
    for (unsigned i = 0; segment_at(i, &segment); i++) {
      char byte;
      if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) == 0 &&
          address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
        return get(segment.p_offset + (address - segment.p_vaddr), &byte) && byte == 0;
    }
    return false;
  }

  const std::string_view bytes_;
  uint64_t offset_ = 0;
  unsigned count_ = 0;
};

}  // namespace

std::optional<LoaderCall> find_loader_call(const std::string& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  if (!fd.valid() || fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
  const auto size = static_cast<size_t>(st.st_size);
  if (size == 0 || size > kSizeMost) return std::nullopt;
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (bytes == MAP_FAILED) return std::nullopt;
  const auto found = Object(std::string_view(static_cast<const char*>(bytes), size)).find();
  munmap(bytes, size);
  return found;
}

}  // namespace ovl
