// See perform.h.
#include "tests/unit/linear/perform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace linear {
namespace {

constexpr unsigned kNoReplace = 1, kExchange = 2;

class Text {
 public:
  Text(const char* top, const Path& path) {
    size_t n = strlen(top);
    memcpy(text_, top, n);
    for (int i = 0; i < path.depth; i++) {
      text_[n++] = '/';
      text_[n++] = kNameText[path.name[i]][0];
    }
    text_[n] = 0;
  }
  const char* get() const { return text_; }

 private:
  char text_[PATH_MAX];
};

// The descriptor is closed. Files of the lower begin with '@' + their tag.
void look_at(int fd, Answer* answer) {
  Facts& f = answer->facts;
  struct stat st = {};
  char first = 0;
  if (fstat(fd, &st) != 0) answer->strange = true;
  f.type = S_ISDIR(st.st_mode) ? Type::kDirectory : Type::kFile;
  if (f.type == Type::kFile) {
    const ssize_t n = pread(fd, &first, 1, 0);
    if (n < 0 || (n == 1 && first != 0 && (first <= '@' || first > 'Z'))) answer->strange = true;
    f.tag = static_cast<uint8_t>(n == 1 && first != 0 ? first - '@' : 0);
    f.size = static_cast<uint16_t>(st.st_size);
  }
  close(fd);
}

struct Entry {
  uint64_t inode;
  int64_t position;
  uint16_t size;
  uint8_t type;
  char name[];
};

void list(Calls& calls, int fd, Answer* answer) {
  alignas(8) char buffer[128];  // a few names at a time
  unsigned seen = 0;
  bool gone = false;
  for (;;) {
    const long n = calls.getdents(fd, buffer, sizeof buffer);
    gone = n == -ENOENT;  // as the kernel says of a directory that was removed
    if (n < 0 && !gone) {
      answer->strange = true;
      answer->error = static_cast<int16_t>(-n);
    }
    if (n <= 0) break;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->size;
      int which = strcmp(entry->name, ".") == 0    ? kNames
                  : strcmp(entry->name, "..") == 0 ? kNames + 1
                                                   : -1;
      for (int i = 0; i < kNames; i++)
        if (strcmp(entry->name, kNameText[i]) == 0) which = i;
      if (which < 0 || (seen >> which & 1) != 0)
        answer->strange = true;
      else
        seen |= 1u << which;
    }
  }
  if (!gone && (seen >> kNames & 3) != 3) answer->strange = true;
  answer->listed = static_cast<uint8_t>(seen & ((1u << kNames) - 1));
  close(fd);
}

void stat(Calls& calls, const char* path, Answer* answer, long* result) {
  struct stat st = {};
  *result = calls.stat(path, &st);
  if (*result != 0) return;
  Facts& f = answer->facts;
  f.inode = static_cast<uint32_t>(st.st_ino);
  f.mode = st.st_mode & 07777;
  f.type = S_ISDIR(st.st_mode) ? Type::kDirectory : Type::kFile;
  if (f.type == Type::kDirectory) return;
  f.size = static_cast<uint16_t>(st.st_size);
  f.links = static_cast<uint8_t>(st.st_nlink);
}

int open_flags(Kind kind) {
  switch (kind) {
    case Kind::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case Kind::kOpenCreate:
      return O_RDWR | O_CREAT;
    case Kind::kOpenWrite:
      return O_RDWR;
    case Kind::kOpenTruncate:
      return O_RDWR | O_TRUNC;
    case Kind::kList:
      return O_RDONLY | O_DIRECTORY;
    default:
      return O_RDONLY;
  }
}

}  // namespace

Answer perform(Calls& calls, const char* top, const Call& call) {
  Answer answer;
  const Text path(top, call.path), to(top, call.to);
  long r = 0;
  switch (call.kind) {
    case Kind::kCreate:
    case Kind::kOpenTruncate:
      r = calls.open(path.get(), open_flags(call.kind) | O_CLOEXEC, call.value);
      if (r >= 0) close(static_cast<int>(r));
      break;
    case Kind::kOpenCreate:
    case Kind::kOpenRead:
    case Kind::kOpenWrite:
      r = calls.open(path.get(), open_flags(call.kind) | O_CLOEXEC, call.value);
      if (r >= 0) look_at(static_cast<int>(r), &answer);
      if (call.kind != Kind::kOpenRead && answer.facts.type == Type::kDirectory)
        answer.strange = true;  // that is EISDIR
      break;
    case Kind::kList:
      r = calls.open(path.get(), open_flags(call.kind) | O_CLOEXEC, 0);
      if (r >= 0) list(calls, static_cast<int>(r), &answer);
      break;
    case Kind::kStat:
      stat(calls, path.get(), &answer, &r);
      break;
    case Kind::kChmod:
      r = calls.chmod(path.get(), call.value);
      break;
    case Kind::kTruncate:
      r = calls.truncate(path.get(), call.value);
      break;
    case Kind::kUnlink:
      r = calls.unlink(path.get(), 0);
      break;
    case Kind::kMkdir:
      r = calls.mkdir(path.get(), call.value);
      break;
    case Kind::kRmdir:
      r = calls.unlink(path.get(), AT_REMOVEDIR);
      break;
    case Kind::kRename:
      r = calls.rename(path.get(), to.get(), 0);
      break;
    case Kind::kRenameNoReplace:
      r = calls.rename(path.get(), to.get(), kNoReplace);
      break;
    case Kind::kExchange:
      r = calls.rename(path.get(), to.get(), kExchange);
      break;
    case Kind::kLink:
      r = calls.link(path.get(), to.get());
      break;
  }
  if (r < 0) answer.error = static_cast<int16_t>(-r);
  if (r < -4095) answer.strange = true;
  return answer;
}

namespace {
long told(long r) { return r < 0 ? -errno : r; }
}  // namespace

long LibcCalls::open(const char* path, int flags, mode_t mode) {
  return told(::open(path, flags, mode));  // NOLINT(cppcoreguidelines-pro-type-vararg)
}
long LibcCalls::unlink(const char* path, int flags) {
  return told(unlinkat(AT_FDCWD, path, flags));
}
long LibcCalls::mkdir(const char* path, mode_t mode) { return told(::mkdir(path, mode)); }
long LibcCalls::rename(const char* from, const char* to, unsigned flags) {
  return told(renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}
long LibcCalls::link(const char* from, const char* to) { return told(::link(from, to)); }
long LibcCalls::stat(const char* path, struct stat* out) { return told(::lstat(path, out)); }
long LibcCalls::chmod(const char* path, mode_t mode) { return told(::chmod(path, mode)); }
long LibcCalls::truncate(const char* path, off_t size) { return told(::truncate(path, size)); }
long LibcCalls::fchdir(int fd) { return told(::fchdir(fd)); }
long LibcCalls::getdents(int fd, void* buffer, unsigned size) {
  return told(getdents64(fd, buffer, size));
}

}  // namespace linear
