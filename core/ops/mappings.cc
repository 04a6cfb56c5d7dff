// See mappings.h.
#include "core/ops/mappings.h"

#include "core/attr/attr.h"
#include "core/walk/magic.h"
#include "core/walk/removed.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

constexpr unsigned kCloseOnExec = 1, kAllowSealing = 2, kNoExecSeal = 8;  // MFD_*
constexpr int kAddSeals = 1033;                                           // F_ADD_SEALS
constexpr int kAllSeals = 1 | 2 | 4 | 8;  // seal, shrink, grow, write
constexpr Str kLink("/memfd:");
constexpr Str kName("ovlrun:");  // in front of a list's own name

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// Which bytes a list writes as \ooo. Kernel counterpart: mangle_path(). A backslash is written as
// it is, so a name may really have such a sequence: it comes out again as it went in.
class Escapes {
 public:
  explicit Escapes(Str bytes) : bytes_(bytes) {}

  CStr undo(Arena& arena, Str text) const {
    char* out = arena.array<char>(text.size() + 1);
    if (out == nullptr) return CStr(nullptr, 0);
    size_t size = 0;
    for (size_t i = 0; i < text.size(); i++) {
      char byte = text[i];
      if (byte == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
          is_octal(text[i + 3])) {
        const char escaped = static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                               (text[i + 3] - '0'));
        if (bytes_.find(escaped) != SIZE_MAX) {
          byte = escaped;
          i += 3;
        }
      }
      out[size++] = byte;
    }
    out[size] = 0;
    return CStr(out, size);
  }

  Str apply(Arena& arena, Str text) const {
    char* out = arena.array<char>(4 * text.size() + 1);
    if (out == nullptr) return Str(nullptr, 0);
    size_t size = 0;
    for (char byte : text) {
      if (bytes_.find(byte) == SIZE_MAX) {
        out[size++] = byte;
        continue;
      }
      const auto value = static_cast<unsigned char>(byte);
      out[size++] = '\\';
      for (int shift : {6, 3, 0}) out[size++] = static_cast<char>('0' + ((value >> shift) & 7));
    }
    return Str(out, size);
  }

 private:
  Str bytes_;
};

// A file as a list names it, and as programs do.
struct Named {
  Str path;  // as it stands in the list
  Str shown;
  // Of what stands there now.
  bool identified = false;
  StatX real;
  Identity identity;

  bool is_other() const { return shown != path; }
};

// Consecutive mappings are mostly of one file.
class Names {
 public:
  Names(Op& op, Str escaped) : op_(op), escapes_(escaped) {}

  Result<const Named*> find(Str path) {
    if (last_.path == path && !path.empty()) return &last_;
    last_ = Named{path, path, false, {}, {}};
    if (path.empty() || path[0] != '/') return &last_;
    const CStr text = escapes_.undo(op_.arena(), path);
    if (text.data() == nullptr) return Error(ENOMEM);
    const bool deleted = has_deleted_mark(text);
    const CStr real =
        deleted ? op_.arena().dup(text.sub(0, text.size() - kDeletedMark.size())) : text;
    if (real.data() == nullptr) return Error(ENOMEM);
    if (!op_.session().in_some_layer(real)) return &last_;
    const CStr virt = TRY(map_back(op_, real));
    if (virt == real) return &last_;
    const CStr shown = deleted ? op_.arena().concat(virt, kDeletedMark) : virt;
    last_.shown = escapes_.apply(op_.arena(), shown);
    if (shown.data() == nullptr || last_.shown.data() == nullptr) return Error(ENOMEM);
    if (!deleted) identify(virt);
    return &last_;
  }

 private:
  void identify(CStr virt) {
    Result<const Node*> node = node_at(op_, virt);
    if (!node.ok() || node.value()->outside() || !node.value()->exists()) return;
    last_.real = node.value()->real;
    last_.identity = shown_identity(*node.value());
    last_.identified = true;
  }

  Op& op_;
  const Escapes escapes_;
  Named last_;
};

// The text as it is written, in large pieces.
class Output {
 public:
  Output(Arena& arena, int fd) : buffer_(arena.array<char>(kSize)), fd_(fd) {}
  bool ready() const { return buffer_ != nullptr; }

  Result<void> put(Str text) {
    while (!text.empty()) {
      if (used_ == kSize) TRY(flush());
      const size_t part = text.size() < kSize - used_ ? text.size() : kSize - used_;
      memcpy(buffer_ + used_, text.data(), part);
      used_ += part;
      text = text.sub(part);
    }
    return {};
  }
  Result<void> flush() {
    TRY(write_all(fd_, buffer_, used_));
    used_ = 0;
    return {};
  }

 private:
  static constexpr size_t kSize = 32 * 1024;
  char* buffer_;
  size_t used_ = 0;
  const int fd_;
};

// A number as the kernel writes it, at least `width` digits.
struct Number {
  char text[24];
  size_t size;
  Number(uint64_t value, unsigned base, size_t width)
      : size(put_number(text, value, base, width)) {}
  explicit operator Str() const { return Str(text, size); }
};

uint64_t read_number(Str text, unsigned base) {
  uint64_t value = 0;
  for (char c : text)
    value = value * base + static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  return value;
}

// One line of a list. Its path is the part that programs may know otherwise.
struct Line {
  Str text;  // without the newline
  size_t path_at = 0, path_end = 0;
  size_t device_at = 0;  // 0: it tells none
  size_t device_end = 0, inode_end = 0;

  Str path() const { return text.sub(path_at, path_end - path_at); }
};

// "7f00-7f10 r-xp 00000000 08:01 1234      /path". smaps has lines between that begin in capitals.
Line line_of_maps(Str text) {
  Line line{text};
  if (text.empty() || (text[0] >= 'A' && text[0] <= 'Z')) return line;
  size_t ends[5];
  size_t at = 0;
  for (size_t& end : ends) {
    end = text.find(' ', at);
    if (end == SIZE_MAX) return line;
    at = end + 1;
  }
  line.device_at = ends[2] + 1;
  line.device_end = ends[3];
  line.inode_end = ends[4];
  while (at < text.size() && text[at] == ' ') at++;
  line.path_at = at;
  line.path_end = text.size();
  return line;
}

// "7f00 default file=/path mapped=7 ..."
Line line_of_numa_maps(Str text) {
  const Str key(" file=");
  Line line{text};
  for (size_t i = 0; i + key.size() < text.size(); i++) {
    if (!text.sub(i).starts_with(key)) continue;
    line.path_at = i + key.size();
    line.path_end = text.find(' ', line.path_at);
    if (line.path_end == SIZE_MAX) line.path_end = text.size();
    return line;
  }
  return line;
}

Result<void> put_identity(Output& out, const Line& line, const Named& named) {
  constexpr size_t kPathColumn = 73;
  const Str device = line.text.sub(line.device_at, line.device_end - line.device_at);
  const size_t colon = device.find(':');
  const Str inode = line.text.sub(line.device_end + 1, line.inode_end - line.device_end - 1);
  const bool same = named.identified && colon != SIZE_MAX &&
                    read_number(device.sub(0, colon), 16) == named.real.stx_dev_major &&
                    read_number(device.sub(colon + 1), 16) == named.real.stx_dev_minor &&
                    read_number(inode, 10) == named.real.stx_ino;
  if (!same) return out.put(line.text.sub(0, line.path_at));
  const Number dev_major(named.identity.dev_major, 16, 2);
  const Number dev_minor(named.identity.dev_minor, 16, 2);
  const Number ino(named.identity.ino, 10, 1);
  size_t column = 0;
  for (Str part : {line.text.sub(0, line.device_at), Str(dev_major), Str(":"), Str(dev_minor),
                   Str(" "), Str(ino), Str(" ")}) {
    TRY(out.put(part));
    column += part.size();
  }
  for (; column < kPathColumn; column++) TRY(out.put(" "));
  return {};
}

Result<void> put_line(Output& out, const Line& line, const Named& named) {
  if (!named.is_other()) return out.put(line.text);
  if (line.device_at != 0)
    TRY(put_identity(out, line, named));
  else
    TRY(out.put(line.text.sub(0, line.path_at)));
  TRY(out.put(named.shown));
  return out.put(line.text.sub(line.path_end));
}

// All of it at once: a task may map and unmap meanwhile.
Result<Str> read_list(Op& op, CStr name) {
  const UniqueFd fd = TRY(op.caller().open_of_task(name));
  size_t room = 32 * 1024, size = 0;
  char* text = op.arena().array<char>(room);
  if (text == nullptr) return Error(ENOMEM);
  for (;;) {
    if (size == room) {
      char* larger = op.arena().array<char>(2 * room);
      if (larger == nullptr) return Error(ENOMEM);
      memcpy(larger, text, size);
      text = larger;
      room *= 2;
    }
    const size_t n = TRY(sys_read(fd.get(), text + size, room - size));
    if (n == 0) return Str(text, size);
    size += n;
  }
}

// Calls act(line, named) for each line until it says false.
template <class Act>
Result<void> for_each_line(Op& op, CStr name, Str list, Act act) {
  const bool numa = base_name(name) == Str("numa_maps");
  Names names(op, numa ? Str("\n\t= ") : Str("\n"));
  for (size_t at = 0; at < list.size();) {
    size_t end = list.find('\n', at);
    if (end == SIZE_MAX) end = list.size();
    const Str text = list.sub(at, end - at);
    const Line line = numa ? line_of_numa_maps(text) : line_of_maps(text);
    const Named* named = TRY(names.find(line.path()));
    if (!TRY(act(line, *named))) return {};
    at = end + 1;
  }
  return {};
}

Result<bool> names_another(Op& op, CStr name, Str list) {
  bool another = false;
  const auto look = [&](const Line&, const Named& named) -> Result<bool> {
    another = another || named.is_other();
    return !another;
  };
  TRY(for_each_line(op, name, list, look));
  return another;
}

Result<void> write_list(Op& op, CStr name, Str list, int to) {
  Output out(op.arena(), to);
  if (!out.ready()) return Error(ENOMEM);
  const auto write = [&](const Line& line, const Named& named) -> Result<bool> {
    TRY(put_line(out, line, named));
    TRY(out.put("\n"));
    return true;
  };
  TRY(for_each_line(op, name, list, write));
  return out.flush();
}

Result<UniqueFd> make_memory(CStr name) {
  long fd = raw_call(SYS_memfd_create, name.c_str(), kCloseOnExec | kAllowSealing | kNoExecSeal);
  if (fd == -EINVAL)  // before Linux 6.3
    fd = raw_call(SYS_memfd_create, name.c_str(), kCloseOnExec | kAllowSealing);
  if (fd < 0) return Error(static_cast<int>(-fd));
  return UniqueFd(static_cast<int>(fd));
}

// A descriptor for reading alone, with the number of `memory`: the lowest that was free.
Result<UniqueFd> reopen(Op& op, UniqueFd memory, int flags) {
  TRY(sys_fchmod(memory.get(), 0444));
  TRY(checked_void(raw_call(SYS_fcntl, memory.get(), kAddSeals, kAllSeals)));
  const CStr path = descriptor_link(op.arena(), memory.get());
  if (path.data() == nullptr) return Error(ENOMEM);
  const long fd = raw_call(SYS_openat, AT_FDCWD, path.c_str(), (flags & ~O_NOFOLLOW) | O_CLOEXEC);
  if (fd < 0) return Error(static_cast<int>(-fd));
  const UniqueFd reading(static_cast<int>(fd));
  TRY(checked_void(raw_call(SYS_dup3, reading.get(), memory.get(), O_CLOEXEC)));
  return memory;
}

}  // namespace

Outcome open_mapping_list(Op& op, CStr name, int flags) {
  Result<Str> read = read_list(op, name);
  if (!read.ok()) return Outcome::native();  // the kernel words its own error
  const Str list = read.value();
  if (!TRY(names_another(op, name, list))) return Outcome::native();
  const CStr own_name = op.arena().concat(kName, name);
  if (own_name.data() == nullptr) return Error(ENOMEM);
  UniqueFd memory = TRY(make_memory(own_name));
  TRY(write_list(op, name, list, memory.get()));
  memory = TRY(reopen(op, std::move(memory), flags));
  return op.caller().give_fd(std::move(memory), flags & O_CLOEXEC);
}

Str shown_list_name(Str link) {
  if (!link.starts_with(kLink) || !has_deleted_mark(link)) return Str();
  const Str name = link.sub(kLink.size(), link.size() - kLink.size() - kDeletedMark.size());
  if (!name.starts_with(kName)) return Str();
  const Str list = name.sub(kName.size());
  return is_mapping_list(list) ? list : Str();
}

}  // namespace ovl
