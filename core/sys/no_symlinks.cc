// See no_symlinks.h.
#include "core/sys/no_symlinks.h"

namespace ovl {

Result<UniqueFd> sys_open_no_symlinks(CStr real, int flags, mode_t mode) {
  constexpr int kTmpFile = 020000000;  // the kernel's own; libc defines O_TMPFILE with O_DIRECTORY
  const bool creates = (flags & (O_CREAT | kTmpFile)) != 0;
  const open_how how = {static_cast<uint64_t>(flags), creates ? mode : 0, RESOLVE_NO_SYMLINKS};
  const At at(real);
  Result<UniqueFd> fd = sys_openat2(at, how);
  // Before Linux 5.6, or below a filter that does not know it.
  if (!fd.ok() && (fd.error() == ENOSYS || fd.error() == EPERM))
    return sys_openat(at, flags | O_NOFOLLOW, mode);
  return fd;
}

}  // namespace ovl
