// Functions that turn a path into another one, or that libc answers by looking at a path.
#include <fcntl.h>
#include <mntent.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <unistd.h>

#include "core/copy_up/copy_up.h"
#include "core/walk/walk.h"
#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/next.h"
#include "preload/real_path.h"

extern "C" [[noreturn]] void __chk_fail();

namespace ovl {
namespace {

Next<char*(const char*, char*)> next_realpath("realpath");
Next<long(const char*, int)> next_pathconf("pathconf");
Next<void*(const char*, int)> next_catopen("catopen");

char* give(CStr path, char* resolved) {
  if (resolved == nullptr) return strdup(path.c_str());
  if (path.size() >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return nullptr;
  }
  memcpy(resolved, path.c_str(), path.size() + 1);
  return resolved;
}

char* next_real(const char* path, char* resolved) {
  auto* real = next_realpath.get();
  return real != nullptr ? real(path, resolved) : nullptr;
}

}  // namespace

Result<CStr> real_path(Op& op, const char* path, unsigned walk_flags) {
  CStr text = TRY(op.caller().copy_in_path(op.arena(), UserPath(path)));
  Walked w = TRY(walk_existing(op, AT_FDCWD, text, walk_flags));
  if (w.native) return text;
  if (w.outside()) return w.outside_path;
  const Node* node = w.node;
  // What is mapped from there is to be called by the name that the file has now; and a supervisor
  // knows no lower's file by the name that it had.
  if (!node->index.empty()) node = TRY(copy_up(op, *node, Data::kNone));
  if (node->metacopy() && node->priv.has(Priv::kRedirect))
    node = TRY(copy_up(op, *node, Data::kAll));
  return node->data();
}

char* ip_realpath(const char* path, char* resolved) {
  Session* session = attached();
  if (path == nullptr || path[0] == 0 || session == nullptr) return next_real(path, resolved);
  PreloadCaller caller;
  Op op(caller, *session);
  Result<CStr> text = caller.copy_in_path(op.arena(), UserPath(path));
  Result<Walked> w =
      text.ok() ? walk_existing(op, AT_FDCWD, text.value(), kFollow) : Error(text.error());
  if (!w.ok()) {
    errno = w.error();
    return nullptr;
  }
  if (w.value().native) return next_real(path, resolved);
  if (w.value().outside()) return next_real(w.value().outside_path.c_str(), resolved);
  return give(w.value().node->virt, resolved);
}

char* ip___realpath_chk(const char* path, char* resolved, size_t room) {
  if (room < PATH_MAX) __chk_fail();
  return ip_realpath(path, resolved);
}

char* ip_canonicalize_file_name(const char* path) { return ip_realpath(path, nullptr); }

namespace {

// Calls a function of libc's with the real path; what can't be resolved is -1 with errno.
template <class Function, class Argument>
auto call_with_real_path(Function* real, const char* path, Argument argument) {
  using Value = decltype(real(path, argument));
  const auto failed = (Value)-1;  // NOLINT(google-readability-casting): a number or a pointer
  if (real == nullptr) return failed;
  Session* session = attached();
  if (session == nullptr || path == nullptr || path[0] == 0) return real(path, argument);
  PreloadCaller caller;
  Op op(caller, *session);
  Result<CStr> there = real_path(op, path, kFollow);
  if (there.ok()) return real(there.value().c_str(), argument);
  errno = there.error();
  return failed;
}

}  // namespace

long ip_pathconf(const char* path, int name) {
  return call_with_real_path(next_pathconf.get(), path, name);
}

// A message catalogue; a name without a slash is searched for by libc.
void* ip_catopen(const char* name, int flags) {
  auto* real = next_catopen.get();
  if (real != nullptr && (name == nullptr || strchr(name, '/') == nullptr))
    return real(name, flags);
  return call_with_real_path(real, name, flags);
}

key_t ip_ftok(const char* path, int project) {
  struct stat st;
  if (ip_stat(path, &st) != 0) return -1;
  return static_cast<key_t>((st.st_ino & 0xffff) | ((st.st_dev & 0xff) << 16) |
                            (static_cast<unsigned>(project) << 24));
}

FILE* ip_setmntent(const char* path, const char* mode) {
  // libc adds "e" and keeps the stream to one thread.
  char with_cloexec[16];
  const size_t size = strnlen(mode, sizeof with_cloexec - 2);
  memcpy(with_cloexec, mode, size);
  memcpy(with_cloexec + size, "e", 2);
  return ip_fopen(path, with_cloexec);
}

}  // namespace ovl
