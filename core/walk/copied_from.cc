// See copied_from.h.
#include "core/walk/copied_from.h"

#include "core/session/moved_file.h"
#include "core/sys/file_handle.h"

namespace ovl {
namespace {

// Other errors tell nothing.
bool is_absence(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENODATA:
    case EOPNOTSUPP:
    case EOVERFLOW:  // a handle of another form
    case ENAMETOOLONG:
      return true;
    default:
      return false;
  }
}

// Under another name than the lower's the origin alone tells.
Result<bool> has_origin(const Node& node, CStr lower) {
  if (!node.in_upper() || node.is_dir() || !node.priv.has(Priv::kOrigin)) return false;
  char value[kFileHandleMax];
  FileHandle origin;
  const Result<size_t> n = sys_lgetxattr(
      node.marked(), priv_name(node.overlay->format, Priv::kOrigin), value, sizeof value);
  if (!n.ok() && !is_absence(n.error())) return Error(n.error());
  if (!n.ok()) return false;
  const Result<OriginState> state = decode_origin(value, n.value(), &origin);
  if (!state.ok() || state.value() != OriginState::kKnown) return false;
  KernelHandle handle;
  const Result<void> r = sys_handle(At(lower), &handle);
  if (!r.ok() && !is_absence(r.error())) return Error(r.error());
  return r.ok() && handle.type == origin.type && handle.bytes == origin.fid_size &&
         memcmp(handle.data, origin.fid, handle.bytes) == 0;
}

// In the table of moved files, under what is no path.
CStr broken_link_key(Op& op, CStr lower) { return op.arena().concat(lower, "\n"); }

Str inode_text(Op& op, const StatX& st) {
  constexpr size_t kMost = 20;
  char* text = op.arena().array<char>(kMost);
  if (text == nullptr) return Str();
  size_t at = kMost;
  for (uint64_t left = st.stx_ino; at > 0 && (left > 0 || at == kMost); left /= 10)
    text[--at] = static_cast<char>('0' + left % 10);
  return Str(text + at, kMost - at);
}

bool is_broken_link(Op& op, const Node& node, CStr lower) {
  if (!node.in_upper() || !node.is_regular() || node.priv.has(Priv::kOrigin)) return false;
  const CStr noted = moved_file_at(op.session(), op.arena(), broken_link_key(op, lower));
  return !noted.empty() && Str(noted) == inode_text(op, node.real);
}

}  // namespace

void note_broken_link(Op& op, CStr lower, CStr copy) {
  StatX st;
  if (!sys_lstat(copy, &st).ok()) return;
  op.session().state().broken_links.store(1, std::memory_order_release);
  moved_file_note(op.session(), broken_link_key(op, lower), inode_text(op, st));
}

Result<bool> is_copied_from(Op& op, const Node& node, CStr lower) {
  for (uint32_t i = 0; i < node.lower_count; i++)
    if (node.lowers[i].path == lower) return true;
  return TRY(has_origin(node, lower)) || is_broken_link(op, node, lower);
}

}  // namespace ovl
