// fopen and freopen: libc's open the file inside libc. Here the file is opened as an operation, and
// the stream made of the descriptor.
#include <stdio.h>
#include <unistd.h>

#include "core/sys/sys.h"
#include "preload/call.h"
#include "preload/fd_path.h"
#include "preload/interposers.h"
#include "preload/next.h"

namespace ovl {
namespace {

struct Mode {
  int flags;      // of open(2)
  char text[64];  // for libc, without what must not happen a second time ("x")
  bool wide;      // ",ccs=": only libc's own fopen sets the conversion up
  bool valid;
};

// fopen(3): r, w or a; then in any order + x b m c e, and from a comma on "ccs=".
Mode parse(const char* mode) {
  Mode m = {0, "", false, true};
  switch (mode[0]) {
    case 'r':
      m.flags = O_RDONLY;
      break;
    case 'w':
      m.flags = O_WRONLY | O_CREAT | O_TRUNC;
      break;
    case 'a':
      m.flags = O_WRONLY | O_CREAT | O_APPEND;
      break;
    default:
      m.valid = false;
      return m;
  }
  size_t n = 0;
  m.text[n++] = mode[0];
  const char* at = mode + 1;
  for (; *at != 0 && *at != ',' && at < mode + 8; at++) {
    if (*at == '+') m.flags = (m.flags & ~O_ACCMODE) | O_RDWR;
    if (*at == 'e') m.flags |= O_CLOEXEC;
    if (*at == 'x')
      m.flags |= O_EXCL;
    else
      m.text[n++] = *at;
  }
  const char* ccs = strstr(mode, ",ccs=");
  m.wide = ccs != nullptr;
  if (ccs != nullptr && strlen(ccs) < sizeof m.text - n) {
    memcpy(m.text + n, ccs, strlen(ccs));
    n += strlen(ccs);
  }
  m.text[n] = 0;
  return m;
}

Next<FILE*(const char*, const char*)> next_fopen("fopen");
Next<FILE*(const char*, const char*, FILE*)> next_freopen("freopen");

int open_file(const char* path, int flags) { return ip_openat(AT_FDCWD, path, flags, 0666); }

// Like fopen on what `fd` is, with its conversion; the stream has the descriptor number of `fd`.
FILE* open_wide(int fd, const Mode& m) {
  auto* real = next_fopen.get();
  FILE* stream = real != nullptr ? real(FdPath(fd).text, m.text) : nullptr;
  if (stream == nullptr) {
    const int error = errno;
    close_raw(fd);
    errno = error;
    return nullptr;
  }
  const int second = stream->_fileno;
  raw_call(SYS_dup3, second, fd, m.flags & O_CLOEXEC);
  stream->_fileno = fd;
  close_raw(second);
  return stream;
}

}  // namespace

FILE* ip_fopen(const char* path, const char* mode) {
  const Mode m = parse(mode);
  if (!m.valid) {
    errno = EINVAL;
    return nullptr;
  }
  const int fd = open_file(path, m.flags);
  if (fd < 0) return nullptr;
  if (m.wide) return open_wide(fd, m);
  // Appending begins at the end, also for ftell before the first write.
  if ((m.flags & (O_APPEND | O_ACCMODE)) == (O_APPEND | O_WRONLY))
    raw_call(SYS_lseek, fd, 0, SEEK_END);
  FILE* stream = fdopen(fd, m.text);
  if (stream == nullptr) {
    const int error = errno;
    close_raw(fd);
    errno = error;
  }
  return stream;
}

// libc's freopen closes what the stream had, opens, and moves the new file onto the old descriptor
// number. It is given a second descriptor of the file that was opened here.
FILE* ip_freopen(const char* path, const char* mode, FILE* stream) {
  auto* real = next_freopen.get();
  if (real == nullptr) return nullptr;
  const Mode m = parse(mode);
  const int old = fileno(stream);
  if (!m.valid || attached() == nullptr || (path == nullptr && old < 0))
    return real(path, mode, stream);
  fflush(stream);
  const int fd = open_file(path != nullptr ? path : FdPath(old).text, m.flags | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    real("/proc/self/fd/-1", m.text,
         stream);  // fails, and leaves the stream closed as a failure does
    errno = error;
    return nullptr;
  }
  FILE* result = real(FdPath(fd).text, m.text, stream);
  const int error = errno;
  close_raw(fd);
  if (result == nullptr) errno = error;
  return result;
}

}  // namespace ovl
