// What an upper file was copied from. Kernel counterpart: ovl_encode_real_fh(), ovl_set_origin().
#include <sys/sysmacros.h>

#include "core/copy_up/marks.h"
#include "core/sys/file_handle.h"

namespace ovl {
namespace {

// The file system's UUID; the kernel writes zeros where there is none, and so do we where it can't
// be asked.
void read_uuid(const LowerRef& lower, int fd, uint8_t out[16]) {
  memset(out, 0, 16);
  UniqueFd own;
  if (fd < 0) {
    Result<UniqueFd> opened =
        sys_openat(lower.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
    if (!opened.ok()) {  // a symlink; the layer's own, if it isn't on a mount below
      StatX st;
      if (sys_lstat(lower.path, &st).ok() &&
          makedev(st.stx_dev_major, st.stx_dev_minor) == lower.layer->dev)
        memcpy(out, lower.layer->uuid, 16);
      return;
    }
    own = std::move(opened).value();
    fd = own.get();
  }
  ignore(sys_fs_uuid(fd, out));
}

}  // namespace

Result<size_t> origin_of(const LowerRef& lower, int fd, void* out) {
  KernelHandle handle;
  const Result<void> r = fd >= 0 ? sys_handle(fd, &handle) : sys_handle(At(lower.path), &handle);
  if (!r.ok() && (r.error() == EOPNOTSUPP || r.error() == EOVERFLOW)) return size_t{0};
  TRY(r);
  FileHandle fh = {};
  fh.type = static_cast<uint8_t>(handle.type);
  fh.fid_size = static_cast<uint8_t>(handle.bytes);
  memcpy(fh.fid, handle.data, handle.bytes);
  read_uuid(lower, fd, fh.uuid);
  return encode_origin(fh, out);
}

Result<void> make_origin_whole(Op& op, const Node& node) {
  if (!node.in_upper() || !node.priv.has(Priv::kOrigin)) return {};
  const Overlay& overlay = *node.overlay;
  const char* name = priv_name(overlay.format, Priv::kOrigin);
  char value[kFileHandleMax];
  FileHandle handle;
  Result<size_t> n = sys_lgetxattr(node.marked(), name, value, sizeof value);
  if (!n.ok() && n.error() == EACCES) {
    TRY(keep_open_to_us(op, overlay, node.marked()));
    n = sys_lgetxattr(node.marked(), name, value, sizeof value);
  }
  if (!n.ok()) return Error(n.error());
  Result<OriginState> state = decode_origin(value, n.value(), &handle);
  if (state.ok() && state.value() == OriginState::kKnown && inode_of(handle) != 0) return {};
  if (node.lower_count != 0) {
    const size_t size = TRY(origin_of(node.lowers[0], -1, value));
    state = decode_origin(value, size, &handle);
    if (state.ok() && state.value() == OriginState::kKnown && inode_of(handle) != 0)
      return set_mark(op, overlay, node.marked(), Priv::kOrigin, Str(value, size));
  }
  Result<void> gone = sys_lremovexattr(node.marked(), name);
  if (!gone.ok() && gone.error() == EACCES) {
    TRY(keep_open_to_us(op, overlay, node.marked()));
    gone = sys_lremovexattr(node.marked(), name);
  }
  return ignore_if(gone, ENODATA);
}

}  // namespace ovl
