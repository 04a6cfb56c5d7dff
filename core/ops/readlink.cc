// readlinkat(2). Kernel counterpart: ovl_get_link(); for procfs's links d_path().
#include "core/names/place.h"
#include "core/ops/mappings.h"
#include "core/ops/ops.h"
#include "core/walk/magic.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

Outcome give_text(Op& op, Str text, UserBuf out, int size) {
  const size_t n =
      text.size() < static_cast<size_t>(size) ? text.size() : static_cast<size_t>(size);
  TRY(op.caller().copy_out(out, text.data(), n));
  return static_cast<long>(n);
}

Result<Str> read_text(Op& op, const At& at) {
  constexpr size_t kMost = 4096;
  char* text = op.arena().array<char>(kMost);
  if (text == nullptr) return Error(ENOMEM);
  size_t n = TRY(sys_readlink(at, text, kMost));
  return Str(text, n);
}

// /proc/self/cwd, exe, fd/<n>: the text is a real path; programs are shown theirs. `link` may be
// relative: then the kernel's own answer is asked for first, as the program would.
Outcome procfs_link(Op& op, CStr link, UserBuf out, int size) {
  Str text = TRY(read_text(op, op.caller().reach(op.arena(), AT_FDCWD, link)));
  if (text.empty() || text[0] != '/') return give_text(op, text, out, size);
  const Str list = shown_list_name(text);
  if (!list.empty()) return give_text(op, list, out, size);
  return give_text(op, TRY(map_back(op, op.arena().dup(text))), out, size);
}

Outcome read_link(Op& op, int dirfd, CStr path, UserBuf out, int size) {
  const NameWatch names(op.session());
  Walked w = TRY(walk_existing(op, dirfd, path, kEmptyPath));
  if (w.native) return Outcome::native();
  if (w.outside()) {
    if (is_magic_name(w.outside_path)) return procfs_link(op, w.outside_path, out, size);
    // What these read depends on who asks.
    if (w.outside_path == Str("/proc/self") || w.outside_path == Str("/proc/thread-self"))
      return give_text(op, TRY(op.caller().proc_link(op.arena(), w.outside_path)), out, size);
    return give_text(op, TRY(read_text(op, w.outside_path)), out, size);
  }
  if (!w.node->is_symlink()) return Error(path.empty() ? ENOENT : EINVAL);
  const Result<Str> text = read_text(op, w.node->top());
  if (!text.ok()) return unless_gone(*w.node, names, Error(text.error()));
  return give_text(op, text.value(), out, size);
}

}  // namespace

Outcome op_readlinkat(Op& op, int dirfd, UserPath user_path, UserBuf out, int size) {
  if (size <= 0) return Error(EINVAL);
  CStr path = TRY(op.caller().copy_in_path(op.arena(), user_path));
  if (path.empty() && dirfd == AT_FDCWD) return Error(ENOENT);
  if (path == Str(kSessionLink)) return give_text(op, op.session().path(), out, size);
  if (is_magic_name(path)) return procfs_link(op, path, out, size);
  return until_still([&] { return read_link(op, dirfd, path, out, size); });
}

}  // namespace ovl
