#include "tests/model/words.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace model {
namespace {

struct Flag {
  const char* name;
  long value;
};
#define FLAG(name) \
  { #name, name }
constexpr Flag kFlags[] = {
    FLAG(O_RDONLY),
    FLAG(O_WRONLY),
    FLAG(O_RDWR),
    FLAG(O_CREAT),
    FLAG(O_EXCL),
    FLAG(O_TRUNC),
    FLAG(O_APPEND),
    FLAG(O_NOFOLLOW),
    FLAG(O_DIRECTORY),
    FLAG(O_PATH),
    FLAG(O_TMPFILE),
    FLAG(O_CLOEXEC),
    FLAG(O_NONBLOCK),
    FLAG(O_NOATIME),
    FLAG(O_SYNC),
    FLAG(O_DIRECT),
    FLAG(AT_FDCWD),
    FLAG(AT_SYMLINK_NOFOLLOW),
    FLAG(AT_SYMLINK_FOLLOW),
    FLAG(AT_EMPTY_PATH),
    FLAG(AT_REMOVEDIR),
    FLAG(AT_EACCESS),
    FLAG(AT_NO_AUTOMOUNT),
    FLAG(RENAME_NOREPLACE),
    FLAG(RENAME_EXCHANGE),
    FLAG(RENAME_WHITEOUT),
    FLAG(RESOLVE_BENEATH),
    FLAG(RESOLVE_IN_ROOT),
    FLAG(RESOLVE_NO_XDEV),
    FLAG(RESOLVE_NO_SYMLINKS),
    FLAG(RESOLVE_NO_MAGICLINKS),
    FLAG(XATTR_CREATE),
    FLAG(XATTR_REPLACE),
    FLAG(SEEK_SET),
    FLAG(SEEK_CUR),
    FLAG(SEEK_END),
    FLAG(F_OK),
    FLAG(R_OK),
    FLAG(W_OK),
    FLAG(X_OK),
    FLAG(S_IFREG),
    FLAG(S_IFDIR),
    FLAG(S_IFIFO),
    FLAG(S_IFSOCK),
    FLAG(S_IFCHR),
    FLAG(S_IFBLK),
    FLAG(S_IFLNK),
    FLAG(FALLOC_FL_KEEP_SIZE),
    FLAG(FALLOC_FL_PUNCH_HOLE),
    FLAG(FALLOC_FL_ZERO_RANGE),
};
#undef FLAG

}  // namespace

std::string escape(std::string_view bytes) {
  if (bytes.empty()) return "\"\"";
  std::string word;
  for (unsigned char c : bytes) {
    if (c > ' ' && c < 0x7f && c != '\\' && c != '=' && c != '"') {
      word += static_cast<char>(c);
    } else {
      char hex[8];
      snprintf(hex, sizeof hex, "\\x%02x", c);
      word += hex;
    }
  }
  return word;
}

std::string unescape(std::string_view word) {
  if (word == "\"\"") return "";
  std::string bytes;
  for (size_t i = 0; i < word.size(); i++) {
    if (word[i] == '\\' && i + 3 < word.size() && word[i + 1] == 'x') {
      bytes += static_cast<char>(strtol(std::string(word.substr(i + 2, 2)).c_str(), nullptr, 16));
      i += 3;
    } else {
      bytes += word[i];
    }
  }
  return bytes;
}

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    if (end > 0) words.emplace_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

long number(std::string_view word) {
  long value = 0;
  while (!word.empty()) {
    const size_t end = std::min(word.find('|'), word.size());
    const std::string part(word.substr(0, end));
    word.remove_prefix(std::min(end + 1, word.size()));
    const Flag* found = nullptr;
    for (const Flag& flag : kFlags)
      if (part == flag.name) found = &flag;
    value |= found != nullptr ? found->value : strtol(part.c_str(), nullptr, 0);
  }
  return value;
}

std::string error_name(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

std::string octal(unsigned long value) {
  char text[32];
  snprintf(text, sizeof text, "%lo", value);
  return text;
}

uint64_t hash(std::string_view bytes) {  // FNV-1a
  uint64_t h = 0xcbf29ce484222325;
  for (unsigned char c : bytes) h = (h ^ c) * 0x100000001b3;
  return h;
}

}  // namespace model
