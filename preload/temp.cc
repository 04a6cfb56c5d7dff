// Temporary names and files: libc's make them with its own open and mkdir.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/sys/sys.h"
#include "preload/call.h"
#include "preload/environment.h"
#include "preload/interposers.h"
#include "preload/open.h"

namespace ovl {
namespace {

constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr int kRandomLetters = 6;
constexpr int kAttempts = 62 * 62 * 62;
constexpr char kTmp[] = "/tmp";  // P_tmpdir

uint64_t random_bits() {
  uint64_t bits = 0;
  if (raw_call(SYS_getrandom, &bits, sizeof bits, 1 /* GRND_NONBLOCK */) == sizeof bits)
    return bits;
  timespec now;
  raw_call(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_nsec) * 0x9e3779b97f4a7c15u ^
         reinterpret_cast<uintptr_t>(&bits);
}

// Tries names in place of the X's before the suffix until `make` gives something else than EEXIST.
// -errno on failure.
template <class Make>
long make_unique(char* pattern, int suffix_size, Make make) {
  const size_t size = strlen(pattern);
  if (suffix_size < 0 || size < kRandomLetters + static_cast<size_t>(suffix_size)) return -EINVAL;
  char* letters = pattern + size - static_cast<size_t>(suffix_size) - kRandomLetters;
  if (memcmp(letters, "XXXXXX", kRandomLetters) != 0) return -EINVAL;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    uint64_t bits = random_bits();
    for (int i = 0; i < kRandomLetters; i++, bits /= 62) letters[i] = kLetters[bits % 62];
    const long r = make(pattern);
    if (r != -EEXIST) return r;
  }
  return -EEXIST;
}

long make_file(char* pattern, int suffix_size, int flags) {
  return make_unique(pattern, suffix_size, [flags](const char* path) {
    return open_kernel_style(AT_FDCWD, path, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL,
                             0600);
  });
}

// 0 when nothing has that name.
long check_free(const char* path) {
  struct stat st;
  const long r = OVL_CALL(newfstatat, AT_FDCWD, UserPath(path), UserBuf(&st), AT_SYMLINK_NOFOLLOW);
  if (r == -ENOENT) return 0;
  return r == 0 || r == -EOVERFLOW ? -EEXIST : r;
}

bool is_directory(const char* path) {
  struct stat st;
  return OVL_CALL(newfstatat, AT_FDCWD, UserPath(path), UserBuf(&st), 0) == 0 &&
         S_ISDIR(st.st_mode);
}

// "<dir>/<prefix>XXXXXX". False: does not fit.
bool build(char* out, size_t room, const char* dir, const char* prefix, size_t prefix_size) {
  size_t size = strlen(dir);
  while (size > 1 && dir[size - 1] == '/') size--;
  if (size + 1 + prefix_size + kRandomLetters + 1 > room) return false;
  memcpy(out, dir, size);
  out[size++] = '/';
  memcpy(out + size, prefix, prefix_size);
  memcpy(out + size + prefix_size, "XXXXXX", kRandomLetters + 1);
  return true;
}

}  // namespace

int ip_mkostemps(char* pattern, int suffix_size, int flags) {
  return static_cast<int>(libc_style(make_file(pattern, suffix_size, flags)));
}
int ip_mkstemp(char* pattern) { return ip_mkostemps(pattern, 0, 0); }
int ip_mkostemp(char* pattern, int flags) { return ip_mkostemps(pattern, 0, flags); }
int ip_mkstemps(char* pattern, int suffix_size) { return ip_mkostemps(pattern, suffix_size, 0); }

char* ip_mkdtemp(char* pattern) {
  const long r = make_unique(pattern, 0, [](const char* path) {
    return OVL_CALL(mkdirat, AT_FDCWD, UserPath(path), 0700u);
  });
  return libc_style(r) < 0 ? nullptr : pattern;
}

char* ip_mktemp(char* pattern) {
  if (libc_style(make_unique(pattern, 0, check_free)) < 0) pattern[0] = 0;
  return pattern;
}

char* ip_tmpnam_r(char* name) {
  if (name == nullptr || !build(name, L_tmpnam, kTmp, "file", 4)) return nullptr;
  return libc_style(make_unique(name, 0, check_free)) < 0 ? nullptr : name;
}

char* ip_tmpnam(char* name) {
  static char own[L_tmpnam];
  if (name != nullptr) return ip_tmpnam_r(name);
  return ip_tmpnam_r(own);
}

char* ip_tempnam(const char* dir, const char* prefix) {
  const char* tmpdir = environment("TMPDIR");
  const char* chosen = kTmp;
  if (tmpdir != nullptr && is_directory(tmpdir))
    chosen = tmpdir;
  else if (dir != nullptr && is_directory(dir))
    chosen = dir;
  if (prefix == nullptr || prefix[0] == 0) prefix = "file";
  const size_t room = strlen(chosen) + strlen(prefix) + 16;
  auto* name = static_cast<char*>(malloc(room));
  if (name == nullptr) return nullptr;
  if (!build(name, room, chosen, prefix, strnlen(prefix, 5)) ||
      libc_style(make_unique(name, 0, check_free)) < 0) {
    ErrnoSaver saver;
    free(name);
    return nullptr;
  }
  return name;
}

FILE* ip_tmpfile() {
  long fd = open_kernel_style(AT_FDCWD, kTmp, O_TMPFILE | O_RDWR | O_EXCL, 0600);
  if (fd < 0) {
    char name[] = "/tmp/tmpfXXXXXX";
    fd = make_file(name, 0, 0);
    if (fd >= 0) OVL_CALL(unlinkat, AT_FDCWD, UserPath(name), 0);
  }
  if (libc_style(fd) < 0) return nullptr;
  FILE* stream = fdopen(static_cast<int>(fd), "w+");
  if (stream == nullptr) {
    ErrnoSaver saver;
    close_raw(static_cast<int>(fd));
  }
  return stream;
}

}  // namespace ovl
