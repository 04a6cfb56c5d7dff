// Loaded into ovlrun: files called "status" can't be opened, so that a supervisor can't start.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

typedef int open_function(const char*, int, ...);

static int open_unless_status(const char* real_name, const char* path, int flags, mode_t mode) {
  const char* name = strrchr(path, '/');
  if (name != NULL && strcmp(name, "/status") == 0) {
    errno = EIO;
    return -1;
  }
  return ((open_function*)dlsym(RTLD_NEXT, real_name))(path, flags, mode);
}

#define OPEN(name)                                       \
  int name(const char* path, int flags, ...) {           \
    va_list rest;                                        \
    va_start(rest, flags);                               \
    const mode_t mode = va_arg(rest, mode_t);            \
    va_end(rest);                                        \
    return open_unless_status(#name, path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
