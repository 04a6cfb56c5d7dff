// The current directory, as libc tells it: with malloc'ed buffers, and of any length.
#include <stdlib.h>
#include <unistd.h>

#include "preload/call.h"
#include "preload/environment.h"
#include "preload/interposers.h"

extern "C" [[noreturn]] void __chk_fail();

namespace ovl {
namespace {

// -errno, or the size with the NUL.
long get(char* buffer, size_t size) {
  long n = OVL_CALL(getcwd, UserBuf(buffer), size);
  if (n > 0 && buffer[0] != '/') return -ENOENT;  // "(unreachable)/...": outside our root
  return n;
}

}  // namespace

char* ip_getcwd(char* buffer, size_t size) {
  if (buffer != nullptr) {
    if (size == 0) {
      errno = EINVAL;
      return nullptr;
    }
    return libc_style(get(buffer, size)) < 0 ? nullptr : buffer;
  }
  // With no buffer and size 0 the result is as large as it needs to be.
  size_t room = size != 0 ? size : PATH_MAX;
  for (;;) {
    char* made = static_cast<char*>(malloc(room));
    if (made == nullptr) return nullptr;
    const long n = get(made, room);
    if (n > 0) {
      if (size != 0) return made;
      char* exact = static_cast<char*>(realloc(made, static_cast<size_t>(n)));
      return exact != nullptr ? exact : made;
    }
    free(made);
    if (n == -ERANGE && size == 0 && room < PATH_MAX * 64) {
      room *= 2;
      continue;
    }
    libc_style(n);
    return nullptr;
  }
}

char* ip___getcwd_chk(char* buffer, size_t size, size_t room) {
  if (size > room) __chk_fail();
  return ip_getcwd(buffer, size);
}

char* ip_getwd(char* buffer) {
  if (buffer == nullptr) {
    errno = EINVAL;
    return nullptr;
  }
  return ip_getcwd(buffer, PATH_MAX);
}
char* ip___getwd_chk(char* buffer, size_t room) {
  if (room < PATH_MAX) {
    // The caller's buffer may still be large enough for this path.
    char* path = ip_getcwd(nullptr, 0);
    if (path == nullptr) return nullptr;
    const size_t size = strlen(path) + 1;
    if (size > room) __chk_fail();
    memcpy(buffer, path, size);
    free(path);
    return buffer;
  }
  return ip_getwd(buffer);
}

// $PWD when it names the current directory (symlinks kept), else getcwd().
char* ip_get_current_dir_name() {
  ErrnoSaver saver;
  struct stat here, there;
  const char* pwd = environment("PWD");
  if (pwd != nullptr && pwd[0] == '/' && ip_stat(".", &here) == 0 && ip_stat(pwd, &there) == 0 &&
      here.st_dev == there.st_dev && here.st_ino == there.st_ino)
    return strdup(pwd);
  char* result = ip_getcwd(nullptr, 0);
  if (result == nullptr) saver.fail(errno);
  return result;
}

}  // namespace ovl
