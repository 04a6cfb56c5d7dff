// Whiteouts: a character device 0:0, as unprivileged users may make it since Linux 5.8; one inode
// of the workdir is hard-linked to each place. Where mknod is refused: an empty file with the
// whiteout xattr, below a directory marked opaque=x. Kernel counterpart: ovl_whiteout(),
// ovl_cleanup_and_whiteout(), ovl_cleanup_whiteouts().
#include "core/copy_up/copy_up.h"
#include "core/copy_up/marks.h"

namespace ovl {
namespace {

Result<void> make_device(CStr real) { return sys_mknod(real, S_IFCHR, 0); }

// A whiteout that has a name in the workdir only so far, at `real`.
Result<void> link_shared(Op& op, const Overlay& overlay, CStr real) {
  const CStr shared = op.arena().concat(overlay.work, kInnerWork, "/", kSharedWhiteout);
  Result<void> r = sys_link(shared, real);
  if (r.ok() || r.error() == EEXIST) return r;
  if (r.error() == EMLINK) {
    // Full: the next one takes its place. Two tasks doing so at once cost an inode.
    Temp next(op, overlay);
    TRY(make_device(next.path()));
    TRY(next.publish(shared));
  } else if (r.error() == ENOENT) {
    TRY(ignore_if(make_device(shared), EEXIST));
  } else {
    return make_device(real);  // a file system without hard links, or somebody else's inode
  }
  r = sys_link(shared, real);
  if (r.ok() || r.error() == EEXIST) return r;
  return make_device(real);
}

// Moves `temp`, a whiteout, to where perhaps something is. What was there is removed.
Result<void> replace(Op& op, Temp& temp, CStr upper) {
  Result<void> r = temp.publish(upper);
  if (r.ok() || r.error() != EISDIR) return r;
  TRY(temp.publish(upper, RENAME_EXCHANGE));
  ignore(remove_whiteouts(op, temp.path()));
  return {};
}

Result<void> put_file(Op& op, const Overlay& overlay, CStr upper) {
  const CStr parent = op.arena().dup(dir_name(upper));
  TRY(mark_xattr_whiteouts(op, overlay, parent));
  Temp temp(op, overlay);
  TRY(sys_mknod(temp.path(), S_IFREG | 0600, 0));
  TRY(set_mark(op, overlay, temp.path(), Priv::kWhiteout, Str("y")));
  return replace(op, temp, upper);
}

}  // namespace

Result<void> put_whiteout(Op& op, const Overlay& overlay, CStr upper) {
  op.session().count(Counter::kWhiteouts);
  if (!overlay.can_whiteout_device) return put_file(op, overlay, upper);
  // Over nothing, the link itself is the atomic step.
  Result<void> r = link_shared(op, overlay, upper);
  if (r.ok() || r.error() != EEXIST) return r;
  Temp temp(op, overlay);
  TRY(link_shared(op, overlay, temp.path()));
  return replace(op, temp, upper);
}

Result<void> remove_whiteouts(Op& op, CStr dir) {
  constexpr size_t kSize = 4096;
  char* buffer = op.arena().array<char>(kSize);
  if (buffer == nullptr) return Error(ENOMEM);
  UniqueFd fd = TRY(sys_openat(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  for (;;) {
    const size_t n = TRY(sys_getdents64(fd.get(), buffer, kSize));
    if (n == 0) return {};
    for (size_t at = 0; at < n;) {
      auto* entry = reinterpret_cast<KernelDirent*>(buffer + at);
      at += entry->d_reclen;
      const CStr name(entry->d_name, strlen(entry->d_name));
      if (name == Str(".") || name == Str("..")) continue;
      StatX st;
      TRY(sys_lstat(At(fd.get(), name), &st));
      const bool device = S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
      // Only what programs can't see: empty files are whiteouts here, since the directory shows as
      // empty.
      if (device || (S_ISREG(st.stx_mode) && st.stx_size == 0)) TRY(sys_unlink(At(fd.get(), name)));
    }
  }
}

}  // namespace ovl
