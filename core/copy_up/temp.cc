// Temporaries of the workdir. Whatever is there when a session starts was left behind by a kill,
// and is removed then. Kernel counterpart: ovl_lookup_temp(), ovl_cleanup().
#include "core/copy_up/copy_up.h"

namespace ovl {
namespace {

// The counter is the session's, so the name is nobody else's; the pid only helps who looks at the
// workdir.
CStr temp_name(Op& op, char* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  const uint64_t number = static_cast<uint64_t>(sys_getpid()) << 32 |
                          op.session().state().temp_counter.fetch_add(1, std::memory_order_relaxed);
  char* w = out;
  *w++ = '#';
  for (int shift = 60; shift >= 0; shift -= 4)
    if (number >> shift != 0 || shift == 0) *w++ = kDigits[number >> shift & 15];
  *w = 0;
  return CStr(out, static_cast<size_t>(w - out));
}

}  // namespace

Temp::Temp(Op& op, const Overlay& overlay) {
  char name[20];
  op.session().note_change();
  path_ = op.arena().concat(overlay.work, kInnerWork, "/", temp_name(op, name));
}

Temp::~Temp() {
  if (!remove_) return;
  Result<void> r = sys_unlink(path_);
  if (!r.ok() && r.error() == EISDIR) ignore(sys_rmdir(path_));
}

Result<void> make_own_directory(CStr path) {
  TRY(sys_mkdir(path, 0700));
  return sys_chmod(path, 0700);
}

Result<void> Temp::publish(CStr real, unsigned flags) {
  TRY(sys_rename(path_, real, flags));
  remove_ = (flags & RENAME_EXCHANGE) != 0;
  return {};
}

}  // namespace ovl
