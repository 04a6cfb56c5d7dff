// What the kernel identifies an object and its file system by: name_to_handle_at(2) and
// FS_IOC_GETFSUUID. Neither needs a privilege.
#pragma once

#include "core/sys/sys.h"

namespace ovl {

// struct file_handle with room for the largest one (libc's header wants the whole of _GNU_SOURCE's
// fcntl).
struct KernelHandle {
  uint32_t bytes = 128;  // MAX_HANDLE_SZ
  int32_t type = 0;
  unsigned char data[128];
};

// EOPNOTSUPP: the file system has none.
Result<void> sys_handle(const At& at, KernelHandle* out);
Result<void> sys_handle(int fd, KernelHandle* out);
// An O_PATH descriptor on the object; `root`: an open directory of its file system. EPERM: root's
// alone.
Result<UniqueFd> sys_open_handle(int root, const KernelHandle& handle);

// ENOTTY: it has none, or the kernel is older than 6.9.
Result<void> sys_fs_uuid(int fd, uint8_t out[16]);

}  // namespace ovl
