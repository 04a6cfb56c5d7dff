// The current directory, as libc tells it: with malloc'ed buffers, and of any length.
#include <stdlib.h>
#include <unistd.h>

#include "core/walk/walk.h"
#include "preload/call.h"
#include "preload/environment.h"
#include "preload/interposers.h"
#include "preload/next.h"

extern "C" [[noreturn]] void __chk_fail();

namespace ovl {
namespace {

// -errno, or the size with the NUL.
long get(char* buffer, size_t size) {
  long n = OVL_CALL(getcwd, UserBuf(buffer), size);
  if (n > 0 && buffer[0] != '/') return -ENOENT;  // "(unreachable)/...": outside our root
  return n;
}

Next<char*(char*, size_t)> next_getcwd("getcwd");

// Deeper than the kernel's getcwd can tell: libc walks up the directories, and the real path maps
// back by its prefix. malloc'ed; nullptr and errno on failure.
char* get_long() {
  auto* real = next_getcwd.get();
  char* path = real != nullptr ? real(nullptr, 0) : nullptr;
  Session* session = attached();
  if (path == nullptr || session == nullptr) return path;
  PreloadCaller caller;
  Op op(caller, *session);
  Result<CStr> shown = map_back(op, CStr(path, strlen(path)));
  free(path);
  if (shown.ok()) return strdup(shown.value().c_str());
  errno = shown.error();
  return nullptr;
}

// A malloc'ed path as getcwd gives it: in the buffer when there is one, else in `size` bytes (0: as
// they are needed).
char* give(char* path, char* buffer, size_t size) {
  if (path == nullptr) return nullptr;
  const size_t needed = strlen(path) + 1;
  if (size != 0 && needed > size) {
    free(path);
    errno = ERANGE;
    return nullptr;
  }
  if (buffer == nullptr) return path;
  memcpy(buffer, path, needed);
  free(path);
  return buffer;
}

}  // namespace

char* ip_getcwd(char* buffer, size_t size) {
  if (buffer != nullptr && size == 0) {
    errno = EINVAL;
    return nullptr;
  }
  ErrnoSaver saver;
  const size_t room = size != 0 ? size : PATH_MAX;
  char* made = buffer != nullptr ? buffer : static_cast<char*>(malloc(room));
  if (made == nullptr) {
    saver.fail(ENOMEM);
    return nullptr;
  }
  const long n = get(made, room);
  if (n > 0) {
    if (buffer != nullptr || size != 0) return made;
    char* exact = static_cast<char*>(realloc(made, static_cast<size_t>(n)));
    return exact != nullptr ? exact : made;
  }
  if (buffer == nullptr) free(made);
  char* result = nullptr;
  if (n == -ENAMETOOLONG || (n == -ERANGE && size == 0))
    result = give(get_long(), buffer, size);
  else
    errno = static_cast<int>(-n);
  if (result == nullptr) saver.fail(errno);
  return result;
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
