// See marks.h. Kernel counterpart: ovl_set_opaque_xattr(), ovl_set_impure().
#include "core/copy_up/marks.h"

#include "core/attr/attr.h"
#include "core/walk/lookup.h"

namespace ovl {
namespace {

Result<void> wait_for_disk(Op& op, const Overlay& overlay, CStr dir) {
  if (overlay.is_volatile) return {};
  const Result<UniqueFd> fd = sys_openat(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd.ok()) {
    const Result<void> synced = sys_fsync(fd.value().get());
    if (!synced.ok()) op.session().errors(overlay).set(synced.error());
    return synced;
  }
  // A program that has used up its descriptors: the one call of this kind that needs none.
  if (fd.error() == EMFILE || fd.error() == ENFILE) return checked_void(raw_call(SYS_sync));
  return Error(fd.error());
}

}  // namespace

namespace {

mode_t needed_by_us(const StatX& st) {
  return S_ISDIR(st.stx_mode) ? 0700 : S_ISREG(st.stx_mode) ? 0600 : 0;
}

bool is_open_to_us(const StatX& st) { return (st.stx_mode & needed_by_us(st)) == needed_by_us(st); }

Result<void> open_to_us(Op& op, const Overlay& overlay, CStr real, const StatX& now) {
  StatX open = now;
  open.stx_mode = static_cast<uint16_t>(now.stx_mode | needed_by_us(now));
  TRY(sys_chmod(real, open.stx_mode & 07777));
  return set_shown(op, overlay, real, open, Shown{now.stx_uid, now.stx_gid, now.stx_mode});
}

}  // namespace

Result<void> keep_open_to_us(Op& op, const Overlay& overlay, CStr real) {
  if (op.caller().credentials().override_dac) return {};
  StatX now;
  TRY(sys_lstat(real, &now));
  return is_open_to_us(now) ? Result<void>() : open_to_us(op, overlay, real, now);
}

Result<void> set_mark(Op& op, const Overlay& overlay, CStr real, Priv which, Str value) {
  const char* name = priv_name(overlay.format, which);
  Result<void> r = sys_lsetxattr(real, name, value.data(), value.size());
  if (r.ok() || r.error() != EACCES) return r;
  StatX now;
  TRY(sys_lstat(real, &now));
  if (is_open_to_us(now)) return r;
  TRY(open_to_us(op, overlay, real, now));
  return sys_lsetxattr(real, name, value.data(), value.size());
}

Result<void> mark_opaque(Op& op, const Overlay& overlay, CStr real) {
  op.session().count(Counter::kOpaques);
  return set_mark(op, overlay, real, Priv::kOpaque, "y");
}

Result<void> mark_xattr_whiteouts(Op& op, const Overlay& overlay, CStr real) {
  char value[2];
  Result<size_t> n =
      sys_lgetxattr(real, priv_name(overlay.format, Priv::kOpaque), value, sizeof value);
  if (n.ok() && decode_opaque(value, n.value()) == Opaque::kOpaque) return {};
  TRY(mark_unportable(op, overlay));
  return set_mark(op, overlay, real, Priv::kOpaque, "x");
}

Result<void> mark_impure(Op& op, const Node& dir) {
  TRY(ensure_loaded(op, dir));
  if (dir.in_upper() && dir.priv.has(Priv::kImpure)) {
    if (is_open_to_us(dir.real) || op.caller().credentials().override_dac) return {};
    return open_to_us(op, *dir.overlay, dir.upper, dir.real);
  }
  return set_mark(op, *dir.overlay, dir.upper, Priv::kImpure, "y");
}

Result<void> mark_unportable(Op& op, const Overlay& overlay) {
  if (overlay.format.prefix != XattrPrefix::kUser) return {};
  std::atomic<uint32_t>& known = op.session().segment().unportable;
  const uint32_t bit = 1u << overlay.index;
  if (known.load(std::memory_order_relaxed) & bit) return {};
  const CStr incompat = op.arena().concat(overlay.work, kInnerWork, "/incompat");
  const CStr mark = op.arena().concat(overlay.work, kInnerWork, "/incompat/ovlrun");
  TRY(ignore_if(make_own_directory(incompat), EEXIST));
  TRY(ignore_if(make_own_directory(mark), EEXIST));
  // Whoever finds it may be faster than who made it: everybody's first one waits for the disk.
  TRY(wait_for_disk(op, overlay, mark));
  TRY(wait_for_disk(op, overlay, incompat));
  known.fetch_or(bit, std::memory_order_relaxed);
  return {};
}

}  // namespace ovl
