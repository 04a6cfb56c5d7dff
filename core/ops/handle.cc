// name_to_handle_at(2). A handle names an object of one layer, and open_by_handle_at(2) would go
// past the overlay: so there are none, as on the kernel's overlayfs without nfs_export.
// AT_HANDLE_FID asks for something to tell objects apart by, not to open: that is the handle of the
// object whose inode number programs see. Kernel counterpart: ovl_encode_fh().
#include <fcntl.h>
#include <sys/stat.h>

#include "core/ops/target.h"

namespace ovl {
namespace {

constexpr int kHandleFid = 0x200;      // AT_HANDLE_FID
constexpr int kMountIdUnique = 0x001;  // AT_HANDLE_MNT_ID_UNIQUE
constexpr int kConnectable = 0x002;    // AT_HANDLE_CONNECTABLE
constexpr unsigned kHandleMost = 128;  // MAX_HANDLE_SZ

struct Handle {
  unsigned bytes;
  int type;
  unsigned char data[kHandleMost];
};
constexpr size_t kHeader = offsetof(Handle, data);

// The call on a real path, its results given to the caller. EOVERFLOW tells the wanted size, too.
Outcome encode(Op& op, CStr real, UserBuf user_handle, UserBuf user_mount, int flags) {
  Handle handle = {};
  TRY(op.caller().copy_in(&handle, user_handle.as<const void>(), kHeader));
  if (handle.bytes > kHandleMost) return Error(EINVAL);
  uint64_t mount = 0;
  At at(real);
  if (at.error()) return Error(at.error());
  const long r = raw_call(SYS_name_to_handle_at, at.dirfd(), at.name(), &handle, &mount, flags);
  if (r < 0 && r != -EOVERFLOW) return r;
  TRY(op.caller().copy_out(user_mount, &mount,
                           (flags & kMountIdUnique) ? sizeof mount : sizeof(int)));
  TRY(op.caller().copy_out(user_handle, &handle, r < 0 ? kHeader : kHeader + handle.bytes));
  return r;
}

}  // namespace

Outcome op_name_to_handle_at(Op& op, int dirfd, UserPath path, UserBuf handle, UserBuf mount,
                             int flags) {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | kHandleFid | kMountIdUnique | kConnectable)) !=
      0)
    return Error(EINVAL);
  const unsigned how = ((flags & AT_SYMLINK_FOLLOW) ? unsigned{kFollow} : 0u) |
                       ((flags & AT_EMPTY_PATH) ? unsigned{kEmptyPath} : 0u);
  Target t = TRY(find(op, dirfd, path, how));
  if (t.native) return Outcome::native();
  if (t.is_outside()) return encode(op, t.outside, handle, mount, flags & ~AT_EMPTY_PATH);
  if ((flags & kHandleFid) == 0 || t.detached) return Error(EOPNOTSUPP);
  const CStr real = t.node->lower_count != 0 ? t.node->lowers[0].path : t.node->top();
  return encode(op, real, handle, mount, flags & (kHandleFid | kMountIdUnique));
}

}  // namespace ovl
