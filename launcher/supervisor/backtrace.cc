// See backtrace.h. libunwind unwinds by the tables in the object files. What it asks for is read
// here: memory by process_vm_readv, registers from /proc/<tid>/syscall, which tells the stack
// pointer and the call's arguments. The registers that functions preserve are known as soon as some
// function on the way saved them. The frame pointer is needed sooner by code that is built with
// one: it is looked for on the stack.
#include "launcher/supervisor/backtrace.h"

#include <cxxabi.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <optional>

#include "core/sys/gate.h"
#include "launcher/failure.h"
#include "launcher/supervisor/unwinder.h"

namespace ovl {
namespace {

constexpr int kFramesMost = 64;

struct Mapping {
  uint64_t start, end, offset;
  bool executable;
  std::string path;
};

std::vector<Mapping> read_mappings(pid_t task) {
  std::vector<Mapping> mappings;
  FILE* file = fopen(fmt::format("/proc/{}/maps", task).c_str(), "re");
  if (file == nullptr) return mappings;
  char* line = nullptr;
  size_t room = 0;
  ssize_t size;
  while ((size = getline(&line, &room, file)) > 0) {
    if (line[size - 1] == '\n') line[size - 1] = 0;
    unsigned long start, end, offset;
    char rights[5];
    int path = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &start, &end, rights, &offset, &path) < 4)
      continue;
    mappings.push_back({start, end, offset, rights[2] == 'x', path > 0 ? line + path : ""});
  }
  free(line);
  fclose(file);
  return mappings;
}

// What libunwind is told about one task.
class Remote {
 public:
  explicit Remote(pid_t task) : task_(task), mappings_(read_mappings(task)) { read_registers(); }

  bool there() const { return known(UNW_X86_64_RIP) && known(UNW_X86_64_RSP); }
  uint64_t instruction() const { return *registers_[UNW_X86_64_RIP]; }

  bool read(uint64_t address, uint64_t* word) {
    // One page at a time: unwinding reads the same few again and again.
    constexpr uint64_t kPage = 4096;
    const uint64_t page = address & ~(kPage - 1);
    if (address % kPage > kPage - sizeof *word) return read_directly(address, word, sizeof *word);
    if (page != page_) {
      page_ = 0;
      if (!read_directly(page, page_bytes_.data(), kPage)) return false;
      page_ = page;
    }
    memcpy(word, page_bytes_.data() + (address - page), sizeof *word);
    return true;
  }

  bool get_register(int number, uint64_t* value) {
    if (number == UNW_X86_64_RBP && !known(number)) find_frame_pointer();
    if (!known(number)) return false;
    *value = *registers_[number];
    return true;
  }

  const Mapping* mapping_of(uint64_t address) const {
    for (const Mapping& mapping : mappings_)
      if (address >= mapping.start && address < mapping.end) return &mapping;
    return nullptr;
  }
  // Where the object of a mapping begins in memory.
  uint64_t object_start(const Mapping& mapping) const {
    for (const Mapping& other : mappings_)
      if (other.path == mapping.path && other.offset == 0 && other.start <= mapping.start)
        return other.start;
    return mapping.start;
  }

 private:
  bool known(int number) const {
    return number >= 0 && static_cast<size_t>(number) < registers_.size() && registers_[number];
  }

  bool read_directly(uint64_t address, void* to, size_t size) const {
    struct iovec here = {to, size};
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    struct iovec there = {reinterpret_cast<void*>(address), size};
    return process_vm_readv(task_, &here, 1, &there, 1, 0) == static_cast<ssize_t>(size);
  }

  // "NUMBER ARG0 ... ARG5 SP IP"
  void read_registers() {
    FILE* file = fopen(fmt::format("/proc/{}/syscall", task_).c_str(), "re");
    if (file == nullptr) return;
    unsigned long v[8];
    if (fscanf(file, "%*d %lx %lx %lx %lx %lx %lx %lx %lx", &v[0], &v[1], &v[2], &v[3], &v[4],
               &v[5], &v[6], &v[7]) == 8) {
      constexpr int kOrder[] = {UNW_X86_64_RDI, UNW_X86_64_RSI, UNW_X86_64_RDX, UNW_X86_64_R10,
                                UNW_X86_64_R8,  UNW_X86_64_R9,  UNW_X86_64_RSP, UNW_X86_64_RIP};
      for (size_t i = 0; i < std::size(kOrder); i++) registers_[kOrder[i]] = v[i];
    }
    fclose(file);
  }

  bool is_code(uint64_t address) const {
    const Mapping* mapping = mapping_of(address);
    return mapping != nullptr && mapping->executable;
  }

  // Two words as `push %rbp; mov %rsp, %rbp` leaves them: the caller's frame further out, and an
  // address of code.
  bool is_frame(uint64_t at, const Mapping& stack, uint64_t* outer) {
    uint64_t code;
    return read(at, outer) && *outer > at && *outer + 16 <= stack.end && *outer % 8 == 0 &&
           read(at + 8, &code) && is_code(code);
  }

  // The innermost frame whose own caller has one too. A single one may be left over from some other
  // call.
  void find_frame_pointer() {
    constexpr uint64_t kReach = 256 * 1024;
    const uint64_t from = *registers_[UNW_X86_64_RSP];
    const Mapping* stack = mapping_of(from);
    if (stack == nullptr) return;
    for (uint64_t at = from & ~uint64_t{7}; at + 16 <= stack->end && at - from < kReach; at += 8) {
      uint64_t outer, code;
      if (!is_frame(at, *stack, &outer) || !read(outer + 8, &code) || !is_code(code)) continue;
      registers_[UNW_X86_64_RBP] = at;
      return;
    }
  }

  pid_t task_;
  std::vector<Mapping> mappings_;
  std::array<std::optional<uint64_t>, UNW_X86_64_RIP + 1> registers_;
  uint64_t page_ = 0;
  std::array<char, 4096> page_bytes_;
};

// libunwind hands the same argument to all accessors, and those for object files are its own (made
// for ptrace, which they need for memory and registers alone) and want theirs.
thread_local Remote* remote = nullptr;

int access_memory(unw_addr_space_t, unw_word_t address, unw_word_t* word, int write, void*) {
  return write == 0 && remote->read(address, word) ? 0 : -UNW_EINVAL;
}

int access_register(unw_addr_space_t, unw_regnum_t number, unw_word_t* value, int write, void*) {
  return write == 0 && remote->get_register(number, value) ? 0 : -UNW_EBADREG;
}

int access_float(unw_addr_space_t, unw_regnum_t, unw_fpreg_t*, int, void*) { return -UNW_EBADREG; }

int resume(unw_addr_space_t, unw_cursor_t*, void*) { return -UNW_EINVAL; }

unw_accessors_t accessors(const Unwinder& unwind) {
  unw_accessors_t all = {};
  all.find_proc_info = unwind.upt_find_proc_info;
  all.put_unwind_info = unwind.upt_put_unwind_info;
  all.get_dyn_info_list_addr = unwind.upt_get_dyn_info_list_addr;
  all.access_mem = access_memory;
  all.access_reg = access_register;
  all.access_fpreg = access_float;
  all.resume = resume;
  all.get_proc_name = unwind.upt_get_proc_name;
  return all;
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), free);
  return status == 0 && text != nullptr ? text.get() : name;
}

// Only a symbol that begins where the unwind table's function does: an object without its own table
// of symbols has the exported ones, and the nearest of these may be any distance away.
void name_function(const Unwinder& unwind, unw_cursor_t* cursor, Frame& frame) {
  unw_proc_info_t info;
  char name[256];
  unw_word_t offset;
  const int named = unwind.get_proc_name(cursor, name, sizeof name, &offset);
  if ((named != 0 && named != -UNW_ENOMEM) || unwind.get_proc_info(cursor, &info) != 0) return;
  if (frame.address - info.start_ip != offset) return;
  frame.function = demangled(name);
  frame.function_offset = offset;
}

Frame frame_at(const Remote& task, uint64_t address) {
  Frame frame = {address, "", 0, "", 0};
  const Mapping* mapping = task.mapping_of(address);
  if (mapping == nullptr || mapping->path.empty()) return frame;
  frame.object = mapping->path.substr(mapping->path.rfind('/') + 1);
  frame.object_offset = address - task.object_start(*mapping);
  return frame;
}

// The page at the gate's address is the gate.
bool has_gate(pid_t task) {
  char bytes[64];
  struct iovec here = {bytes, sizeof bytes};
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  struct iovec there = {reinterpret_cast<void*>(kGateAddress), sizeof bytes};
  return process_vm_readv(task, &here, 1, &there, 1, 0) == static_cast<ssize_t>(sizeof bytes) &&
         memcmp(bytes, ovl_gate_page, sizeof bytes) == 0;
}

// On one line, as it is quoted for a message.
std::string program_name(pid_t task) {
  char name[64] = {};
  FILE* file = fopen(fmt::format("/proc/{}/comm", task).c_str(), "re");
  const size_t size = file == nullptr ? 0 : fread(name, 1, sizeof name - 1, file);
  if (file != nullptr) fclose(file);
  return quote(std::string_view(name, size > 0 && name[size - 1] == '\n' ? size - 1 : size));
}

// False: it could not begin.
bool walk(const Unwinder& unwind, pid_t task, Remote& here, std::vector<Frame>& frames) {
  unw_accessors_t all = accessors(unwind);
  const std::unique_ptr<unw_addr_space, void (*)(unw_addr_space_t)> space(
      unwind.create_addr_space(&all, 0), unwind.destroy_addr_space);
  const std::unique_ptr<void, void (*)(void*)> files(unwind.upt_create(task), unwind.upt_destroy);
  unw_cursor_t cursor;
  remote = &here;
  const bool begun = space != nullptr && files != nullptr &&
                     unwind.init_remote(&cursor, space.get(), files.get()) == 0;
  if (begun) do {
      unw_word_t address = 0;
      if (unwind.get_reg(&cursor, UNW_REG_IP, &address) != 0 || address == 0) break;
      Frame frame = frame_at(here, address);
      name_function(unwind, &cursor, frame);
      frames.push_back(std::move(frame));
    } while (frames.size() < kFramesMost && unwind.step(&cursor) > 0);
  remote = nullptr;
  return begun;
}

}  // namespace

std::vector<Frame> backtrace(pid_t task) {
  std::vector<Frame> frames;
  Remote here(task);
  if (!here.there()) return frames;
  const Unwinder* unwind = unwinder();
  if (unwind == nullptr || !walk(*unwind, task, here, frames))
    frames.push_back(frame_at(here, here.instruction()));
  return frames;
}

std::string frame_text(const Frame& frame) {
  if (frame.object.empty()) return fmt::format("{:#x}", frame.address);
  std::string place = fmt::format("{}+{:#x}", quote(frame.object), frame.object_offset);
  if (frame.function.empty()) return place;
  return fmt::format("{}+{:#x} ({})", frame.function, frame.function_offset, place);
}

std::string trapped_from(pid_t task) {
  if (!has_gate(task)) return "";
  std::string text = program_name(task);
  for (const Frame& frame : backtrace(task)) text += "\n" + frame_text(frame);
  return text;
}

}  // namespace ovl
