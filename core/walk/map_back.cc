// From what the kernel calls a cwd or descriptor to what programs call it. No table of processes: a
// real path of a layer maps back by the layer's prefix, and only directories that a redirect moved
// need the session's list. In a session inside others that is done once per level: what the session
// around would call it lies in the upper or a lower that the inner overlay was given there.
#include <sys/sysmacros.h>

#include "core/session/moved.h"
#include "core/session/moved_file.h"
#include "core/session/name_watch.h"
#include "core/walk/copied_from.h"
#include "core/walk/data_only.h"
#include "core/walk/removed.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

CStr shown_path(Op& op, const Overlay& overlay, Str rest) {
  if (rest.empty()) return overlay.at;
  return overlay.at == Str("/") ? op.arena().dup(rest) : op.arena().concat(overlay.at, rest);
}

// One level: from paths as the level below it has them (real ones at level 0) to those that its own
// programs use.
class Level {
 public:
  Level(Op& op, uint32_t level) : op_(op), session_(op.session()), level_(level) {}

  Result<CStr> map(CStr path) {
    for (uint32_t i = 0; i < session_.overlay_count(); i++) {
      const Overlay& overlay = session_.overlay(i);
      if (overlay.level != level_ || overlay.upper_layer == nullptr) continue;
      const CStr upper = level_ == 0 ? overlay.upper : session_.given_upper(overlay);
      if (is_below_or_same(path, upper)) return shown_path(op_, overlay, below(path, upper));
    }
    const LowerPlace place = lower_place(path);
    if (place.overlay == nullptr) return level_ == 0 ? of_data(path) : Result<CStr>(path);
    // In place, an excluded part of a lower is what it is.
    if (is_below_or_same(path, place.overlay->at) &&
        session_.containing_at(path, level_) == nullptr)
      return path;
    return of_lower(place, path);
  }

 private:
  struct LowerPlace {
    const Overlay* overlay = nullptr;
    Str rest;  // path below the lower's root
  };

  // The innermost lower that holds this path.
  LowerPlace lower_place(CStr path) const {
    LowerPlace best;
    size_t best_size = 0;
    for (uint32_t i = 0; i < session_.overlay_count(); i++) {
      const Overlay& overlay = session_.overlay(i);
      if (overlay.level != level_) continue;
      const uint32_t count = level_ == 0 ? overlay.lower_count : overlay.given_count;
      for (uint32_t k = 0; k < count; k++) {
        const CStr root = level_ == 0 ? overlay.lowers[k].root : session_.given_lower(overlay, k);
        if (!is_below_or_same(path, root) || (best.overlay != nullptr && root.size() <= best_size))
          continue;
        best = LowerPlace{&overlay, below(path, root)};
        best_size = root.size();
      }
    }
    return best;
  }

  Result<CStr> of_lower(const LowerPlace& place, CStr path) {
    const CStr plain = shown_path(op_, *place.overlay, place.rest);
    if (level_ == 0) {
      const CStr file = moved_file_at(session_, op_.arena(), path);
      if (!file.empty() && TRY(shows(file, path))) return file;
    }
    if (session_.state().moved_count.load(std::memory_order_acquire) == 0) return plain;
    const CStr real = real_path(path);
    if (real.empty() || TRY(shows(plain, real))) return plain;
    uint32_t cursor = 0;
    for (;;) {
      CStr rest = moved_candidate(session_, *place.overlay, op_.arena(), place.rest, &cursor);
      if (rest.empty()) return plain;
      CStr moved = shown_path(op_, *place.overlay, rest);
      if (TRY(shows(moved, real))) return moved;
    }
  }

  // A file of a layer that only gives data shows by the name of its metacopy.
  Result<CStr> of_data(CStr path) {
    for (uint32_t i = 0; i < session_.overlay_count(); i++) {
      const Overlay& overlay = session_.overlay(i);
      for (uint32_t k = 0; k < overlay.data_count; k++) {
        if (!is_below_or_same(path, overlay.lowers[overlay.lower_count + k].root)) continue;
        const CStr file = moved_file_at(session_, op_.arena(), path);
        if (!file.empty() && TRY(shows(file, path))) return file;
      }
    }
    return path;
  }

  // Of the object that the level below has there. Empty: it has none.
  CStr real_path(CStr path) {
    if (level_ == 0) return path;
    Result<const Node*> node = node_at(op_, path, Purpose::kPass, level_ - 1);
    if (!node.ok()) return CStr();
    if (node.value()->outside()) return path;
    return node.value()->exists() ? node.value()->top() : CStr();
  }

  // Is the object at this real path part of what programs see at `virt`? An error that leaves it
  // open is none of "no": another object would be taken for it.
  Result<bool> shows(CStr virt, CStr real) {
    Result<const Node*> node = node_at(op_, virt, Purpose::kPass, level_);
    if (!node.ok() && !is_certain(node.error())) return Error(node.error());
    if (!node.ok() || node.value()->outside() || !node.value()->exists()) return false;
    return TRY(is_copied_from(op_, *node.value(), real)) || had_data_at(op_, *node.value(), real);
  }
  static bool is_certain(int error) {
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP ||
           error == ENAMETOOLONG;
  }

  Op& op_;
  Session& session_;
  const uint32_t level_;
};

}  // namespace

Result<CStr> map_back(Op& op, CStr real) {
  CStr path = real;
  for (uint32_t level = 0; level <= op.session().level(); level++)
    path = TRY(Level(op, level).map(path));
  return path;
}

namespace {

bool is_deleted(Op& op, int fd, CStr link) {
  if (!has_deleted_mark(link)) return false;
  // A file may really be called so.
  Result<BorrowedFd> borrowed = op.caller().borrow(fd);
  StatX named, open;
  return !borrowed.ok() || !sys_lstat(link, &named).ok() ||
         !sys_fstat(borrowed.value().get(), &open).ok() || named.stx_ino != open.stx_ino ||
         named.stx_dev_major != open.stx_dev_major || named.stx_dev_minor != open.stx_dev_minor;
}

// A file whose path is longer than any call tells, and that has no ".." to climb by. What is open
// for writing is an upper's.
Result<FdNode> of_deep_file(Op& op, int fd) {
  const BorrowedFd borrowed = TRY(op.caller().borrow(fd));
  const long flags = TRY(checked(raw_call(SYS_fcntl, borrowed.get(), F_GETFL)));
  StatX st;
  TRY(sys_fstat(borrowed.get(), &st));
  if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_RDONLY) return Error(ENAMETOOLONG);
  FdNode result;
  for (uint32_t i = 0; i < op.session().overlay_count(); i++) {
    const Overlay& overlay = op.session().overlay(i);
    if (overlay.upper_layer == nullptr ||
        overlay.upper_layer->dev != makedev(st.stx_dev_major, st.stx_dev_minor))
      continue;
    result.overlay = &overlay;
    result.detached = true;
    return result;
  }
  return Error(ENAMETOOLONG);
}

// Is the node the very file that the descriptor is on? By its name another one may have been found.
Result<bool> is_on(Op& op, int fd, const Node& node) {
  struct stat open;
  TRY(op.caller().fstat(fd, &open));
  return open.st_ino == node.real.stx_ino &&
         open.st_dev == makedev(node.real.stx_dev_major, node.real.stx_dev_minor);
}

constexpr int kLooksMost = 100;
constexpr int kLooksForCopyMost = 10;  // others may go on changing names that are none of its

}  // namespace

Result<FdNode> node_of_fd(Op& op, int fd) {
  FdNode result;
  for (int looks = 1;; looks++) {
    result = FdNode();
    const NameWatch names(op.session());
    Result<CStr> link = op.caller().fd_link(op.arena(), fd);
    if (!link.ok() && link.error() == ENAMETOOLONG) return of_deep_file(op, fd);
    result.real = TRY(std::move(link));
    if (result.real[0] != '/') return result;
    if (!op.session().in_some_layer(result.real)) return result;
    const CStr virt = TRY(map_back(op, result.real));
    const Overlay* overlay = op.session().containing(virt);
    if (overlay == nullptr) return result;
    const bool upper =
        overlay->upper_layer != nullptr && (is_below_or_same(result.real, overlay->upper) ||
                                            is_below_or_same(result.real, overlay->work));
    result.overlay = overlay;
    result.on_lower = !upper;
    if (is_deleted(op, fd, result.real)) {
      result.detached = true;
      return result;
    }
    Result<const Node*> found = node_at(op, virt);
    if (!found.ok() && found.error() != ENOENT && found.error() != ENOTDIR)
      return Error(found.error());
    const Node* node = found.ok() ? found.value() : nullptr;
    bool same = node != nullptr && node->exists();
    if (same && upper) same = node->in_upper() && TRY(is_on(op, fd, *node));
    if (same && !upper)
      same = TRY(is_copied_from(op, *node, result.real)) || had_data_at(op, *node, result.real);
    if (same) result.node = node;
    result.detached = !same;
    // A file of the upper whose name another one has by now has another name itself, or none.
    const bool has_moved = !same && upper && node != nullptr && node->in_upper();
    // So may the copy of a lower's have.
    const bool may_have_moved = !same && !upper && looks < kLooksForCopyMost && !names.held_still();
    if (!(has_moved || may_have_moved) || looks == kLooksMost) return result;
  }
}

}  // namespace ovl
