// Directory streams. libc's own are bound to its own getdents, so DIR is ours for every directory
// (the type is opaque). A stream is a descriptor and a buffer of getdents64 records; the position
// lives in the descriptor, as in libc's.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <new>

#include "core/sys/sys.h"
#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/mutex.h"

namespace ovl {
namespace {

constexpr size_t kBufferSize = 32 * 1024;

struct Stream {
  int fd;  // first, as in libc's: old programs look
  Mutex mutex;
  size_t at = 0;  // of the next record in the buffer
  size_t filled = 0;
  long position = 0;  // telldir: where the next record is
  alignas(KernelDirent) char buffer[kBufferSize];

  explicit Stream(int descriptor) : fd(descriptor) {}
};
static_assert(offsetof(struct dirent, d_name) == offsetof(KernelDirent, d_name),
              "records are handed out as they are");

Stream* stream_of(DIR* dir) { return reinterpret_cast<Stream*>(dir); }

DIR* make(int fd) {
  void* memory = malloc(sizeof(Stream));
  if (memory == nullptr) return nullptr;
  return reinterpret_cast<DIR*>(new (memory) Stream(fd));
}

// The next record; nullptr with *error 0 at the end. Requires: mutex held.
struct dirent* next(Stream* s, int* error) {
  *error = 0;
  if (s->at >= s->filled) {
    const long n = OVL_CALL(getdents64, static_cast<unsigned>(s->fd), UserBuf(s->buffer),
                            static_cast<unsigned>(kBufferSize));
    if (n <= 0) {
      // A directory that was removed meanwhile is at its end.
      if (n != -ENOENT) *error = static_cast<int>(-n);
      return nullptr;
    }
    s->at = 0;
    s->filled = static_cast<size_t>(n);
  }
  auto* entry = reinterpret_cast<struct dirent*>(s->buffer + s->at);
  s->at += entry->d_reclen;
  s->position = entry->d_off;
  return entry;
}

void seek(Stream* s, long position) {
  Guard guard(s->mutex);
  raw_call(SYS_lseek, s->fd, position, SEEK_SET);
  s->at = s->filled = 0;
  s->position = position;
}

DIR* open_directory(int dirfd, const char* path) {
  if (path[0] == 0) {
    errno = ENOENT;
    return nullptr;
  }
  const int fd = ip_openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  DIR* dir = make(fd);
  if (dir == nullptr) {
    close_raw(fd);
    errno = ENOMEM;
  }
  return dir;
}

}  // namespace

DIR* open_directory_at(int dirfd, const char* path) { return open_directory(dirfd, path); }

DIR* ip_opendir(const char* path) { return open_directory(AT_FDCWD, path); }

DIR* ip_fdopendir(int fd) {
  struct stat st;
  if (ip_fstat(fd, &st) != 0) return nullptr;
  if (!S_ISDIR(st.st_mode)) {
    errno = ENOTDIR;
    return nullptr;
  }
  const long flags = raw_call(SYS_fcntl, fd, F_GETFL);
  if (libc_style(flags) < 0) return nullptr;
  if ((flags & O_ACCMODE) == O_WRONLY) {
    errno = EINVAL;
    return nullptr;
  }
  return make(fd);
}

int ip_closedir(DIR* dir) {
  if (dir == nullptr) {
    errno = EINVAL;
    return -1;
  }
  Stream* s = stream_of(dir);
  const int fd = s->fd;
  free(s);
  return static_cast<int>(libc_style(raw_call(SYS_close, fd)));
}

int ip_dirfd(DIR* dir) { return stream_of(dir)->fd; }

struct dirent* ip_readdir(DIR* dir) {
  Stream* s = stream_of(dir);
  Guard guard(s->mutex);
  int error;
  struct dirent* entry = next(s, &error);
  if (error != 0) errno = error;
  return entry;
}

int ip_readdir_r(DIR* dir, struct dirent* entry, struct dirent** result) {
  Stream* s = stream_of(dir);
  Guard guard(s->mutex);
  *result = nullptr;
  int error;
  bool too_long = false;
  while (struct dirent* record = next(s, &error)) {
    const size_t name_size = strlen(record->d_name);
    if (name_size >= sizeof entry->d_name) {
      too_long = true;  // told at the end, as libc does; the other names come first
      continue;
    }
    memcpy(entry, record, offsetof(struct dirent, d_name) + name_size + 1);
    *result = entry;
    return 0;
  }
  return error == 0 && too_long ? ENAMETOOLONG : error;
}

long ip_telldir(DIR* dir) {
  Stream* s = stream_of(dir);
  Guard guard(s->mutex);
  return s->position;
}
void ip_seekdir(DIR* dir, long position) { seek(stream_of(dir), position); }
void ip_rewinddir(DIR* dir) { seek(stream_of(dir), 0); }

ssize_t ip_getdirentries(int fd, char* buffer, size_t size, off_t* base) {
  const long at = raw_call(SYS_lseek, fd, 0, SEEK_CUR);
  const ssize_t n = ip_getdents64(fd, buffer, size);
  if (n >= 0 && base != nullptr) *base = at;
  return n;
}

}  // namespace ovl
