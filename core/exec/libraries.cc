// See libraries.h.
#include "core/exec/libraries.h"

#include <elf.h>

#include "core/walk/walk.h"

namespace ovl {
namespace {

constexpr uint16_t kSegmentsMost = 256;
constexpr size_t kDynamicMost = 512;
constexpr size_t kListMost = 64 * 1024;

// The loader's own directories (Debian's multiarch, and Fedora's).
#if defined(__x86_64__)
constexpr const char* kDefaults[] = {"/usr/local/lib/x86_64-linux-gnu",
                                     "/usr/local/lib",
                                     "/lib/x86_64-linux-gnu",
                                     "/usr/lib/x86_64-linux-gnu",
                                     "/lib64",
                                     "/usr/lib64",
                                     "/lib",
                                     "/usr/lib"};
#elif defined(__aarch64__)
constexpr const char* kDefaults[] = {"/usr/local/lib/aarch64-linux-gnu",
                                     "/usr/local/lib",
                                     "/lib/aarch64-linux-gnu",
                                     "/usr/lib/aarch64-linux-gnu",
                                     "/lib64",
                                     "/usr/lib64",
                                     "/lib",
                                     "/usr/lib"};
#endif

struct Program {
  Elf64_Phdr segments[kSegmentsMost];
  uint16_t count;
};

// File offset of a virtual address; UINT64_MAX when no segment has it.
uint64_t offset_of(const Program& program, uint64_t address) {
  for (uint16_t i = 0; i < program.count; i++) {
    const Elf64_Phdr& s = program.segments[i];
    if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
      return s.p_offset + (address - s.p_vaddr);
  }
  return UINT64_MAX;
}

Result<bool> read_segments(ByteSource& source, Program* program) {
  Elf64_Ehdr header;
  if (TRY(source.read(&header, sizeof header, 0)) != sizeof header) return false;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kSegmentsMost) return false;
  const size_t size = header.e_phnum * sizeof(Elf64_Phdr);
  program->count = header.e_phnum;
  return TRY(source.read(program->segments, size, header.e_phoff)) == size;
}

// A list of directories being put together, each once.
class DirectoryList {
 public:
  explicit DirectoryList(Op& op) : op_(op), text_(op.arena().array<char>(kListMost)) {}
  bool out_of_memory() const { return text_ == nullptr; }
  bool has_layer_directory() const { return layers_ > 0; }
  CStr text() {
    text_[size_] = 0;
    return CStr(text_, size_);
  }

  void add(Str dir) {
    if (size_ + dir.size() + 2 > kListMost || has(dir)) return;
    if (count_++ > 0) text_[size_++] = ':';
    memcpy(text_ + size_, dir.data(), dir.size());
    size_ += dir.size();
  }

  // The directories of the layers that `dir` (virtual, or relative to the cwd) stands for, where
  // the kernel would not find them by that name.
  void add_layers(Str dir) {
    const CStr path = op_.arena().dup(dir);
    Result<Walked> w = walk_existing(op_, AT_FDCWD, path, kFollow);
    if (!w.ok() || w.value().native || w.value().outside()) return;
    const Node& node = *w.value().node;
    if (!node.is_dir() || node.top() == Str(node.virt)) return;
    if (node.in_upper()) add(node.upper);
    layers_++;
    for (uint32_t i = 0; i < node.lower_count; i++)
      if (node.lowers[i].path != Str(path)) add(node.lowers[i].path);
  }

 private:
  bool has(Str dir) const {
    size_t from = 0;
    for (size_t i = 0; i <= size_; i++) {
      if (i < size_ && text_[i] != ':') continue;
      if (count_ > 0 && Str(text_ + from, i - from) == dir) return true;
      from = i + 1;
    }
    return false;
  }

  Op& op_;
  char* text_;
  size_t size_ = 0;
  int count_ = 0;
  int layers_ = 0;
};

// $ORIGIN and ${ORIGIN} in front of an element.
CStr expand_origin(Op& op, Str program, Str element) {
  for (Str token : {Str("$ORIGIN"), Str("${ORIGIN}")})
    if (element.starts_with(token) && !program.empty())
      return op.arena().concat(dir_name(program), element.sub(token.size()));
  return op.arena().dup(element);
}

template <class Function>
void for_each_element(Str list, bool semicolons, Function function) {
  size_t from = 0;
  for (size_t i = 0; i <= list.size(); i++) {
    if (i < list.size() && list[i] != ':' && !(semicolons && list[i] == ';')) continue;
    function(list.sub(from, i - from));
    from = i + 1;
  }
}

// Can the loader's own directories be in an overlay at all?
bool defaults_matter(const Session& session) {
  for (uint32_t i = 0; i < session.overlay_count(); i++) {
    const CStr at = session.overlay(i).at;
    if (session.overlay(i).upper_layer == nullptr) continue;
    if (at == Str("/") || at.starts_with("/usr") || at.starts_with("/lib")) return true;
  }
  return false;
}

}  // namespace

Result<CStr> run_path(Arena& arena, ByteSource& source) {
  Program* program = arena.array<Program>(1);
  if (program == nullptr) return Error(ENOMEM);
  if (!TRY(read_segments(source, program))) return CStr();
  for (uint16_t i = 0; i < program->count; i++) {
    const Elf64_Phdr& segment = program->segments[i];
    if (segment.p_type != PT_DYNAMIC) continue;
    Elf64_Dyn* entries = arena.array<Elf64_Dyn>(kDynamicMost);
    if (entries == nullptr) return Error(ENOMEM);
    size_t size = segment.p_filesz < kDynamicMost * sizeof *entries
                      ? segment.p_filesz
                      : kDynamicMost * sizeof *entries;
    size = TRY(source.read(entries, size, segment.p_offset));
    uint64_t strings = 0, path = UINT64_MAX;
    bool is_run_path = false;
    for (size_t k = 0; k < size / sizeof *entries && entries[k].d_tag != DT_NULL; k++) {
      if (entries[k].d_tag == DT_STRTAB) strings = entries[k].d_un.d_ptr;
      if (entries[k].d_tag == DT_RUNPATH || (entries[k].d_tag == DT_RPATH && !is_run_path)) {
        path = entries[k].d_un.d_val;
        is_run_path = entries[k].d_tag == DT_RUNPATH;
      }
    }
    if (path == UINT64_MAX) return CStr();
    const uint64_t at = offset_of(*program, strings);
    char* text = arena.array<char>(4096);
    if (text == nullptr) return Error(ENOMEM);
    if (at == UINT64_MAX || path > UINT64_MAX - at) return CStr();
    const size_t n = TRY(source.read(text, 4095, at + path));
    text[n] = 0;
    return CStr(text, strlen(text));
  }
  return CStr();
}

Result<CStr> library_path(Op& op, Str program, Str run_path_list, Str given) {
  DirectoryList list(op);
  if (list.out_of_memory()) return Error(ENOMEM);
  if (!run_path_list.empty())
    for_each_element(run_path_list, false, [&](Str element) {
      const CStr dir = expand_origin(op, program, element);
      if (!dir.empty() && dir[0] == '/') list.add_layers(dir);
    });
  if (!given.empty())
    for_each_element(given, true, [&](Str element) {
      list.add_layers(element.empty() ? Str(".") : element);
      list.add(element.empty() ? Str(".") : element);
    });
  if (defaults_matter(op.session()))
    for (const char* dir : kDefaults) list.add_layers(dir);
  if (!list.has_layer_directory()) return CStr(nullptr, 0);
  return list.text();
}

}  // namespace ovl
