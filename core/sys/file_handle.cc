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

// The beginning of struct btrfs_ioctl_fs_info_args.
struct BtrfsInfo {
  uint64_t max_id, devices;
  uint8_t fsid[16];
  uint8_t others[992];
};
constexpr unsigned long kBtrfsInfo = _IOR(0x94, 31, BtrfsInfo);

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

Result<UniqueFd> sys_open_handle(int root, const KernelHandle& handle) {
  return UniqueFd(static_cast<int>(TRY(
      checked(raw_call(SYS_open_by_handle_at, root, &handle, O_PATH | O_NOFOLLOW | O_CLOEXEC)))));
}

Result<void> sys_handle(int fd, KernelHandle* out) { return handle_at(fd, "", AT_EMPTY_PATH, out); }

Result<void> sys_fs_uuid(int fd, uint8_t out[16]) {
  FsUuid uuid;
  const Result<void> told = checked_void(raw_call(SYS_ioctl, fd, kGetFsUuid, &uuid));
  if (!told.ok()) {  // btrfs has only a call of its own
    BtrfsInfo btrfs = {};
    TRY(checked_void(raw_call(SYS_ioctl, fd, kBtrfsInfo, &btrfs)));
    memcpy(out, btrfs.fsid, sizeof btrfs.fsid);
    return {};
  }
  if (uuid.size != sizeof uuid.uuid) return Error(ENOTTY);
  memcpy(out, uuid.uuid, sizeof uuid.uuid);
  return {};
}

}  // namespace ovl
