// See copied_from.h.
#include "core/walk/copied_from.h"

#include "core/sys/file_handle.h"

namespace ovl {
namespace {

// Under another name than the lower's the origin alone tells.
bool has_origin(const Node& node, CStr lower) {
  if (!node.in_upper() || node.is_dir() || !node.priv.has(Priv::kOrigin)) return false;
  char value[kFileHandleMax];
  FileHandle origin;
  const Result<size_t> n = sys_lgetxattr(
      node.marked(), priv_name(node.overlay->format, Priv::kOrigin), value, sizeof value);
  if (!n.ok()) return false;
  const Result<OriginState> state = decode_origin(value, n.value(), &origin);
  if (!state.ok() || state.value() != OriginState::kKnown) return false;
  KernelHandle handle;
  return sys_handle(At(lower), &handle).ok() && handle.type == origin.type &&
         handle.bytes == origin.fid_size && memcmp(handle.data, origin.fid, handle.bytes) == 0;
}

}  // namespace

bool is_copied_from(const Node& node, CStr lower) {
  for (uint32_t i = 0; i < node.lower_count; i++)
    if (node.lowers[i].path == lower) return true;
  return has_origin(node, lower);
}

}  // namespace ovl
