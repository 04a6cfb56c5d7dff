// See deep_path.h.
#include "core/caller/deep_path.h"

#include <limits.h>

#include "core/caller/descriptor_link.h"
#include "core/sys/sys.h"

namespace ovl {
namespace {

constexpr size_t kListing = 32 * 1024;
constexpr int kStepsMost = 1 << 16;

// The name that `child` has in the directory `parent`.
Result<CStr> name_in(Arena& arena, int parent, const StatX& child) {
  UniqueFd dir = TRY(sys_openat(At(parent, "."), O_RDONLY | O_DIRECTORY));
  char* listing = arena.array<char>(kListing);
  if (listing == nullptr) return Error(ENOMEM);
  for (;;) {
    size_t n = TRY(sys_getdents64(dir.get(), listing, kListing));
    if (n == 0) return Error(ENOENT);
    for (size_t at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const KernelDirent*>(listing + at);
      at += entry->d_reclen;
      const CStr name(entry->d_name, strlen(entry->d_name));
      StatX st;
      if (name == Str(".") || name == Str("..") || !sys_lstat(At(parent, name), &st).ok()) continue;
      if (st.stx_ino == child.stx_ino && st.stx_dev_major == child.stx_dev_major &&
          st.stx_dev_minor == child.stx_dev_minor)
        return arena.dup(name);
    }
  }
}

// What /proc says, as long as it can.
Result<CStr> short_path(Arena& arena, int fd, char* buffer) {
  const CStr link = descriptor_link(arena, fd);
  if (link.data() == nullptr) return Error(ENOMEM);
  size_t n = TRY(sys_readlink(link, buffer, PATH_MAX));
  if (n == PATH_MAX) return Error(ENAMETOOLONG);
  buffer[n] = 0;
  return CStr(buffer, n);
}

}  // namespace

Result<CStr> deep_path(Arena& arena, int dirfd) {
  char* buffer = arena.array<char>(PATH_MAX + 1);
  if (buffer == nullptr) return Error(ENOMEM);
  Result<UniqueFd> opened = sys_openat(At(dirfd, "."), O_PATH | O_DIRECTORY);
  if (!opened.ok() && opened.error() == ENOTDIR) return Error(ENAMETOOLONG);
  UniqueFd current = TRY(std::move(opened));
  CStr rest;
  for (int step = 0; step < kStepsMost; step++) {
    Result<CStr> known = short_path(arena, current.get(), buffer);
    if (known.ok())
      return rest.empty() ? arena.dup(known.value()) : arena.join(known.value(), rest);
    if (known.error() != ENAMETOOLONG) return Error(known.error());
    StatX st;
    TRY(sys_fstat(current.get(), &st));
    UniqueFd parent = TRY(sys_openat(At(current.get(), ".."), O_PATH | O_DIRECTORY));
    const CStr name = TRY(name_in(arena, parent.get(), st));
    rest = rest.empty() ? name : arena.join(name, rest);
    if (rest.data() == nullptr) return Error(ENOMEM);
    current = std::move(parent);
  }
  return Error(ELOOP);
}

}  // namespace ovl
