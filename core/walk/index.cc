// See index.h.
#include "core/walk/index.h"

#include <sys/sysmacros.h>

#include "core/sys/file_handle.h"

namespace ovl {

bool may_index(const Overlay& overlay, const Layer& layer, const StatX& lower) {
  if (!overlay.has_index || !layer.indexed || lower.stx_nlink < 2) return false;
  // Its link count and origin are kept in xattrs.
  const bool can_tell = S_ISREG(lower.stx_mode) || overlay.has_beside ||
                        overlay.format.prefix == XattrPrefix::kTrusted;
  if (!can_tell || S_ISDIR(lower.stx_mode)) return false;
  // The UUID is that of the layer's root, and what is mounted below has others.
  return makedev(lower.stx_dev_major, lower.stx_dev_minor) == layer.dev;
}

Result<CStr> index_entry(Op& op, const Overlay& overlay, const LowerRef& lower, const StatX& st) {
  if (!may_index(overlay, *lower.layer, st)) return CStr();
  const IndexKey key = TRY(index_key(lower));
  if (key.size == 0) return CStr();
  return index_path(op, overlay, key.origin, key.size);
}

bool is_object_of(const Overlay& overlay, const FileHandle& origin, const LowerRef& lower,
                  const StatX& st) {
  const auto has_uuid = [&origin](const Layer& layer) {
    return memcmp(layer.uuid, origin.uuid, sizeof origin.uuid) == 0;
  };
  // One of another lower's file system; a mount below a lower has a UUID that no lower has.
  for (uint32_t i = 0; i < overlay.lower_count && !has_uuid(*lower.layer); i++)
    if (has_uuid(overlay.lowers[i])) return false;
  if (!lower.layer->is_erofs) return inode_of(origin) == st.stx_ino;
  KernelHandle there;  // which tells a place, no inode number
  return sys_handle(At(lower.path), &there).ok() && there.bytes == origin.fid_size &&
         memcmp(there.data, origin.fid, origin.fid_size) == 0;
}

Result<IndexKey> index_key(const LowerRef& lower) {
  IndexKey key;
  KernelHandle handle;
  const Result<void> r = sys_handle(At(lower.path), &handle);
  if (!r.ok() && (r.error() == EOPNOTSUPP || r.error() == EOVERFLOW)) return key;
  TRY(r);
  FileHandle fh = {};
  fh.type = static_cast<uint8_t>(handle.type);
  fh.fid_size = static_cast<uint8_t>(handle.bytes);
  memcpy(fh.fid, handle.data, handle.bytes);
  memcpy(fh.uuid, lower.layer->uuid, sizeof fh.uuid);
  key.size = encode_origin(fh, key.origin);
  return key;
}

Result<CStr> index_path(Op& op, const Overlay& overlay, const char* origin, size_t size) {
  char name[2 * kFileHandleMax];
  encode_index_name(origin, size, name);
  const CStr path = op.arena().concat(overlay.work, "/index/", Str(name, 2 * size));
  if (path.data() == nullptr) return Error(ENOMEM);
  return path;
}

}  // namespace ovl
