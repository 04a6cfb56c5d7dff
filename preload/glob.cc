// glob(3): libc's own, with our way into directories. A program that brings its own
// (GLOB_ALTDIRFUNC) keeps it.
#include <glob.h>

#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/next.h"

namespace ovl {
namespace {

Next<int(const char*, int, int (*)(const char*, int), glob_t*)> next_glob("glob");

void close_dir(void* dir) { ip_closedir(static_cast<DIR*>(dir)); }
void* open_dir(const char* path) { return ip_opendir(path); }
struct dirent* read_dir(void* dir) {
  return ip_readdir(static_cast<DIR*>(dir));
}

}  // namespace

int ip_glob(const char* pattern, int flags, int (*on_error)(const char*, int), glob_t* result) {
  auto* real = next_glob.get();
  if (real == nullptr) return GLOB_ABORTED;
  if ((flags & GLOB_ALTDIRFUNC) != 0 || attached() == nullptr)
    return real(pattern, flags, on_error, result);
  const glob_t before = *result;
  result->gl_closedir = close_dir;
  result->gl_readdir = read_dir;
  result->gl_opendir = open_dir;
  result->gl_stat = ip_stat;
  result->gl_lstat = ip_lstat;
  const int r = real(pattern, flags | GLOB_ALTDIRFUNC, on_error, result);
  result->gl_closedir = before.gl_closedir;
  result->gl_readdir = before.gl_readdir;
  result->gl_opendir = before.gl_opendir;
  result->gl_stat = before.gl_stat;
  result->gl_lstat = before.gl_lstat;
  result->gl_flags &= ~GLOB_ALTDIRFUNC;
  return r;
}

}  // namespace ovl
