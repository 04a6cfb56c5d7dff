// The exec family: libc's search of PATH and its fallback to the shell, on our execve. What the
// kernel is given (interpreter, environment) is the business of op_execve.
#include "preload/exec.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <unistd.h>

#include "core/sys/scratch.h"
#include "preload/call.h"
#include "preload/environment.h"
#include "preload/interposers.h"

namespace ovl {
namespace {

constexpr Str kDefaultPath = "/bin:/usr/bin";  // confstr(_CS_PATH)
char kShell[] = "/bin/sh";

UserBuf buf(const void* memory) { return UserBuf(reinterpret_cast<uintptr_t>(memory)); }

size_t count(char* const* list) {
  size_t n = 0;
  while (list != nullptr && list[n] != nullptr) n++;
  return n;
}

Str search_path() {
  const char* path = environment("PATH");
  return path != nullptr ? Str(path, strlen(path)) : kDefaultPath;
}

// What has no format that the kernel knows is a script for the shell.
long exec_with_shell(Arena& arena, const char* path, char* const* argv, char* const* envp) {
  const size_t argc = count(argv);
  char** with_shell = arena.array<char*>(argc + 3);
  if (with_shell == nullptr) return -ENOMEM;
  size_t n = 0;
  with_shell[n++] = kShell;
  with_shell[n++] = const_cast<char*>(path);
  for (size_t i = 1; i < argc; i++) with_shell[n++] = argv[i];
  with_shell[n] = nullptr;
  return exec_kernel_style(kShell, with_shell, envp);
}

long exec_or_shell(Arena& arena, const char* path, char* const* argv, char* const* envp,
                   OnUnknownFormat on_unknown) {
  const long r = exec_kernel_style(path, argv, envp);
  return r == -ENOEXEC && on_unknown == OnUnknownFormat::kShell
             ? exec_with_shell(arena, path, argv, envp)
             : r;
}

// Does an error with one directory of the search path let the search go on? As in libc.
bool go_on(long error) {
  switch (-error) {
    case EACCES:
    case ENOENT:
    case ESTALE:
    case ENOTDIR:
    case ENODEV:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

// The list that starts with `first`, in an array. Requires: `out` has room for `n` pointers with
// the null.
void collect(char** out, size_t n, const char* first, va_list rest) {
  out[0] = const_cast<char*>(first);
  for (size_t i = 1; i < n; i++) out[i] = va_arg(rest, char*);
}

size_t list_size(const char* first, va_list rest) {
  size_t n = 1;
  if (first == nullptr) return n;
  do n++;
  while (va_arg(rest, char*) != nullptr);
  return n;
}

}  // namespace

long exec_kernel_style(const char* path, char* const* argv, char* const* envp) {
  return OVL_CALL(execve, UserPath(path), buf(argv), buf(envp));
}

long exec_search(const char* file, char* const* argv, char* const* envp,
                 OnUnknownFormat on_unknown) {
  Scratch scratch;
  Arena& arena = scratch.arena();
  const Str name(file, strlen(file));
  if (name.empty()) return -ENOENT;
  if (name.find('/') != SIZE_MAX) return exec_or_shell(arena, file, argv, envp, on_unknown);
  if (name.size() > NAME_MAX) return -ENAMETOOLONG;
  const Str path = search_path();
  char* candidate = arena.array<char>(PATH_MAX);
  if (candidate == nullptr) return -ENOMEM;
  bool denied = false;
  long error = -ENOENT;
  for (size_t at = 0; at <= path.size();) {
    size_t end = path.find(':', at);
    if (end == SIZE_MAX) end = path.size();
    const Str dir = path.sub(at, end - at);
    at = end + 1;
    if (dir.size() + 1 + name.size() >= PATH_MAX) continue;
    char* w = candidate;
    memcpy(w, dir.data(), dir.size());
    w += dir.size();
    if (!dir.empty()) *w++ = '/';
    memcpy(w, name.data(), name.size() + 1);
    error = exec_or_shell(arena, candidate, argv, envp, on_unknown);
    if (error == -EACCES) denied = true;
    if (!go_on(error)) return error;
  }
  return denied ? -EACCES : error;
}

int ip_fexecve(int fd, char* const* argv, char* const* envp) {
  if (fd < 0 || argv == nullptr || envp == nullptr) {
    errno = EINVAL;
    return -1;
  }
  return ip_execveat(fd, "", argv, envp, AT_EMPTY_PATH);
}

int ip_execv(const char* path, char* const* argv) { return ip_execve(path, argv, environ); }
int ip_execvp(const char* file, char* const* argv) { return ip_execvpe(file, argv, environ); }
int ip_execvpe(const char* file, char* const* argv, char* const* envp) {
  return static_cast<int>(libc_style(exec_search(file, argv, envp, OnUnknownFormat::kShell)));
}

// As libc, these keep the array on the stack: a vfork child or a signal handler may call them.
#define OVL_COLLECT(argv, first)                                             \
  va_list args;                                                              \
  va_start(args, arg);                                                       \
  const size_t size = list_size(first, args);                                \
  va_end(args);                                                              \
  char** argv = static_cast<char**>(__builtin_alloca(size * sizeof(char*))); \
  va_start(args, arg);                                                       \
  collect(argv, size, first, args)

int ip_execl(const char* path, const char* arg, ...) {
  OVL_COLLECT(argv, arg);
  va_end(args);
  return ip_execve(path, argv, environ);
}
int ip_execle(const char* path, const char* arg, ...) {
  OVL_COLLECT(argv, arg);
  char** envp = va_arg(args, char**);
  va_end(args);
  return ip_execve(path, argv, envp);
}
int ip_execlp(const char* file, const char* arg, ...) {
  OVL_COLLECT(argv, arg);
  va_end(args);
  return ip_execvpe(file, argv, environ);
}

}  // namespace ovl
