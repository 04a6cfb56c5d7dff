// See failure.h.
#include "launcher/failure.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/unique_fd.h"

namespace ovl {
namespace {

// Length of the valid UTF-8 sequence of printable characters at `at`; 0 when there is none.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  const size_t size = lead >= 0xf0 && lead < 0xf5   ? 4
                      : lead >= 0xe0 && lead < 0xf0 ? 3
                      : lead >= 0xc2 && lead < 0xe0 ? 2
                                                    : 0;
  if (size == 0 || at + size > text.size()) return 0;
  unsigned code = lead & (0x7f >> size);
  for (size_t i = 1; i < size; i++) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr unsigned kSmallest[] = {0, 0, 0xa0, 0x800,
                                    0x10000};  // below 0xa0: C1 control characters
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
  return size;
}

// What a shell leaves alone, wherever it stands in a word.
bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         strchr("/._-+,:@%^=~", c) != nullptr;
}

}  // namespace

void complain_through(pid_t command, const std::string& text) {
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, command, 0)));
  const UniqueFd to(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), STDERR_FILENO, 0)));
  const std::string line = "ovlrun: " + text + "\n";
  (void)!write(to.valid() ? to.get() : STDERR_FILENO, line.data(), line.size());
}

void complain(const std::string& text) {
  const std::string line = "ovlrun: " + text + "\n";
  (void)!write(2, line.data(), line.size());
}

std::string error_text(int code) { return strerror(code); }

std::string quote(std::string_view text) {
  bool plain = !text.empty() && text[0] != '~' && text[0] != '-';
  bool printable = true;
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text, i);
    if (length > 0) {
      i += length;
      continue;
    }
    const char c = text[i++];
    if (c < ' ' || c == 0x7f || (c & 0x80) != 0) printable = false;
    if (c == 0 || !is_plain(c)) plain = false;
  }
  if (plain && printable) return std::string(text);
  std::string out = printable ? "'" : "$'";
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text, i);
    if (length > 0) {
      out.append(text.substr(i, length));
      i += length;
      continue;
    }
    const char c = text[i++];
    if (c == '\'') {
      out += printable ? "'\\''" : "\\'";
    } else if (!printable && c == '\\') {
      out += "\\\\";
    } else if (!printable && c == '\n') {
      out += "\\n";
    } else if (!printable && c == '\t') {
      out += "\\t";
    } else if (c < ' ' || c == 0x7f) {  // also 0x80 and above, as char is signed
      out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace ovl
