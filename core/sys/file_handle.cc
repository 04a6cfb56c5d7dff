// See file_handle.h.
#include "core/sys/file_handle.h"

#include <fcntl.h>
#include <sys/ioctl.h>

namespace ovl {
namespace {

struct FsUuid {
  uint8_t size;
  uint8_t uuid[16];
};
constexpr unsigned long kGetFsUuid = _IOR(0x15, 0, FsUuid);

Result<void> handle_at(int dirfd, const char* name, int flags, KernelHandle* out) {
  int mount_id;
  out->bytes = sizeof out->data;
  TRY(checked_void(raw_call(SYS_name_to_handle_at, dirfd, name, out, &mount_id, flags)));
  if (out->type <= 0 || out->type >= 0xff) return Error(EOPNOTSUPP);  // FILEID_INVALID
  return {};
}

}  // namespace

Result<void> sys_handle(const At& at, KernelHandle* out) {
  if (at.error()) return Error(at.error());
  return handle_at(at.dirfd(), at.name(), 0, out);
}

Result<void> sys_handle(int fd, KernelHandle* out) { return handle_at(fd, "", AT_EMPTY_PATH, out); }

Result<void> sys_fs_uuid(int fd, uint8_t out[16]) {
  FsUuid uuid;
  TRY(checked_void(raw_call(SYS_ioctl, fd, kGetFsUuid, &uuid)));
  if (uuid.size != sizeof uuid.uuid) return Error(ENOTTY);
  memcpy(out, uuid.uuid, sizeof uuid.uuid);
  return {};
}

}  // namespace ovl
