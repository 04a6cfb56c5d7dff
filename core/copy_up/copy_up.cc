// Everything but directories: a whole copy is made in the workdir without any lock, then the place
// is locked, looked at again, and the copy renamed into it. Kernel counterpart: ovl_copy_up_one(),
// ovl_copy_up_workdir().
//
// Of a hard link of the lower the copy goes into the index first, and the name is a link to that
// (linked.h). Where there is no index the link is broken, as by the kernel without one: the name
// alone is copied up, without origin, with all its data. (A metacopy would go on showing the inode
// number of names that it no longer shares anything with.) A device that the user can't make is
// kept as an empty file with the type recorded; it can be moved and stat'ed, not opened.
#include "core/copy_up/copy_up.h"

#include <limits.h>
#include <sys/sysmacros.h>

#include "core/copy_up/complete.h"
#include "core/copy_up/data.h"
#include "core/copy_up/linked.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/session/lock.h"
#include "core/session/plain.h"
#include "core/session/readers.h"
#include "core/walk/beside.h"
#include "core/walk/copied_from.h"
#include "core/walk/index.h"
#include "core/walk/lookup.h"

namespace ovl {
namespace {

// A name may change hands between looking and locking; more often than this it is no accident.
constexpr int kTries = 64;

// A lower object's copy before it has a place.
class Copy {
 public:
  Copy(Op& op, const Node& node, Data data)
      : op_(op), node_(node), data_(data), temp_(op, *node.overlay) {}
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy() {
    if (!published_ && !beside_.empty()) ignore(sys_unlink(beside_));
  }

  Result<void> prepare() {
    const LowerRef& lower = node_.lowers[0];
    if (may_index(*node_.overlay, *lower.layer, node_.real)) key_ = TRY(index_key(lower));
    switch (node_.mode & S_IFMT) {
      case S_IFREG:
        TRY(prepare_file());
        break;
      case S_IFLNK:
        TRY(prepare_symlink());
        break;
      default:
        TRY(prepare_special());
    }
    if (indexed()) TRY(mark_indexed());
    return times().set(temp_.path());
  }

  // Of a regular file whose name has gone: it stays in the workdir.
  Result<CStr> prepare_nameless() {
    TRY(prepare_whole(true));
    TRY(Times(node_.real).set(temp_.path()));
    published_ = true;
    temp_.keep();
    op_.session().count(Counter::kCopyUps);
    return temp_.path();
  }

  // Of one that was made without its data, and has its place.
  UniqueFd take_emptied() { return published_ ? std::move(emptied_) : UniqueFd(); }

  // Does it go into an index, where?
  bool indexed() const { return key_.size != 0; }
  Result<CStr> entry() const { return index_path(op_, *node_.overlay, key_.origin, key_.size); }
  // Requires: the entry is locked.
  Result<void> publish_in_index(CStr entry) {
    const DataChange data(op_.session(), whole_ ? &lower_data_ : nullptr);
    published_ = TRY(ovl::publish_in_index(op_, temp_, entry));
    return {};
  }

  // Requires: the place is locked, `dir` is in the upper; it isn't indexed. Errors: EEXIST.
  Result<void> publish(const Node& dir, CStr upper) {
    TRY(mark_impure(op_, dir));
    const KeepTimes keep = TRY(KeepTimes::of(dir.upper));
    const ShownChange change(op_.session());
    const DataChange data(op_.session(), whole_ ? &lower_data_ : nullptr);
    const bool breaks_link = whole_ && !has_origin_ && may_have_readers(op_.session(), lower_data_);
    if (breaks_link) note_broken_link(op_, node_.data(), temp_.path());
    TRY(temp_.publish(upper, RENAME_NOREPLACE));
    published_ = true;
    op_.session().count(Counter::kCopyUps);
    return keep.restore();
  }

 private:
  // What comes without its data was emptied, and is so with the one step that shows the copy.
  Times times() const {
    const bool emptied = data_ == Data::kDrop && S_ISREG(node_.mode);
    return emptied ? Times(node_.real).changed_now() : Times(node_.real);
  }

  Result<void> prepare_file() {
    const bool linked = node_.real.stx_nlink > 1 && !indexed();  // a link that will be broken
    const bool metacopy =
        data_ == Data::kNone && node_.overlay->metacopy && !linked && node_.real.stx_size > 0;
    return metacopy ? prepare_metacopy() : prepare_whole(!linked && !indexed());
  }

  // By path alone: a program may have used up its descriptors.
  Result<void> prepare_metacopy() {
    const CStr path = temp_.path();
    TRY(may_write(op_, node_.real.stx_size));
    TRY(mark_unportable(op_, *node_.overlay));
    op_.session().state().metacopies.store(1, std::memory_order_seq_cst);
    TRY(sys_mknod(path, S_IFREG | 0600, 0));
    const auto size = static_cast<off_t>(node_.real.stx_size);
    Result<void> r = sys_truncate(path, size);
    if (!r.ok() && r.error() == EACCES) {  // a umask without u+w
      TRY(sys_chmod(path, 0600));
      r = sys_truncate(path, size);
    }
    TRY(r);
    TRY(copy_metadata(op_, node_, path));
    op_.session().count(Counter::kMetacopies);
    return set_mark(op_, *node_.overlay, path, Priv::kMetacopy, Str());
  }

  Result<void> prepare_whole(bool with_origin) {
    UniqueFd lower;
    if (data_ != Data::kDrop) TRY(may_write(op_, node_.real.stx_size));
    UniqueFd upper = TRY(sys_openat(temp_.path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (data_ != Data::kDrop && node_.real.stx_size > 0) {
      lower = TRY(open_lower(node_.data()));
      StatX st;
      TRY(sys_fstat(lower.get(), &st));
      if (!S_ISREG(st.stx_mode)) return Error(EIO);
      TRY(copy_data(op_, *node_.overlay, lower.get(), upper.get(), st.stx_size));
      lower_data_ = st;
    } else {
      TRY(sys_lstat(node_.data(), &lower_data_));
    }
    whole_ = true;
    has_origin_ = with_origin;
    TRY(copy_metadata(op_, node_, temp_.path()));
    // Emptying takes setuid bits and capabilities.
    if (data_ == Data::kDrop) TRY(sys_truncate(temp_.path(), 0));
    if (data_ == Data::kDrop) emptied_ = std::move(upper);
    if (!with_origin) return {};
    char origin[kFileHandleMax];
    const size_t size =
        TRY(origin_of(node_.lowers[0], node_.lower_count == 1 ? lower.get() : -1, origin));
    return set_mark(op_, *node_.overlay, temp_.path(), Priv::kOrigin, Str(origin, size));
  }

  Result<void> mark_indexed() {
    const Overlay& overlay = *node_.overlay;
    const auto mark = [&](Priv which, Str value) {
      return beside_.empty() ? set_mark(op_, overlay, temp_.path(), which, value)
                             : set_beside(op_, overlay, beside_, which, value);
    };
    TRY(mark(Priv::kOrigin, Str(key_.origin, key_.size)));
    char value[kNlinkMax];
    // The entry will be the only link.
    const size_t size = encode_nlink(NlinkBase::kUpper, node_.real.stx_nlink, 1, value);
    return mark(Priv::kNlink, Str(value, size));
  }

  Result<void> prepare_symlink() {
    char* text = op_.arena().array<char>(PATH_MAX);
    if (text == nullptr) return Error(ENOMEM);
    const size_t n = TRY(sys_readlink(node_.lowers[0].path, text, PATH_MAX - 1));
    text[n] = 0;
    TRY(sys_symlink(text, temp_.path()));
    return finish_special(S_IFLNK);
  }

  Result<void> prepare_special() {
    const dev_t device = makedev(node_.rdev_major, node_.rdev_minor);
    mode_t type = node_.mode & S_IFMT;
    Result<void> r = sys_mknod(temp_.path(), type | 0600, device);
    if (!r.ok() && r.error() == EPERM) {
      type = S_IFREG;
      r = sys_mknod(temp_.path(), S_IFREG | 0600, 0);
    }
    TRY(r);
    return finish_special(type);
  }

  // Everything that there is to it is in place before it gets its name.
  Result<void> finish_special(mode_t real_type) {
    const Overlay& overlay = *node_.overlay;
    const bool beside = stands_beside(overlay, real_type);
    if (beside) beside_ = TRY(beside_path(op_, overlay, Object::at(temp_.path())));
    TRY(copy_metadata(op_, node_, temp_.path()));
    const bool unmarked = beside ? beside_.empty() : !may_carry(real_type);
    // An index has only what is of one type with all its names.
    if (unmarked || real_type != (node_.mode & S_IFMT)) key_.size = 0;
    if (unmarked) return {};
    // Of a link that will be broken, see above.
    if (indexed() || node_.real.stx_nlink > 1) return {};
    char origin[kFileHandleMax];
    const Str value(origin, TRY(origin_of(node_.lowers[0], -1, origin)));
    if (beside) return set_beside(op_, overlay, beside_, Priv::kOrigin, value);
    return set_mark(op_, overlay, temp_.path(), Priv::kOrigin, value);
  }

  bool may_carry(mode_t real_type) const {
    return S_ISREG(real_type) || node_.overlay->format.prefix == XattrPrefix::kTrusted;
  }

  Op& op_;
  const Node& node_;
  const Data data_;
  Temp temp_;
  bool published_ = false;
  bool has_origin_ = false;
  bool whole_ = false;  // a file with its own data, which was that of:
  StatX lower_data_{};
  UniqueFd emptied_;
  CStr beside_;  // its companion
  IndexKey key_;
};

// nullptr: the name has changed hands meanwhile. Requires: a Mutation with the directory locked;
// `now` is a lower's.
Result<const Node*> bring_from_index(Op& op, Mutation& mutation, const Node& now, Copy* copy,
                                     CStr entry) {
  const Node* dir = TRY(copy_up_dir(op, *now.up));
  mutation.lock_entry(entry);
  if (copy != nullptr) TRY(copy->publish_in_index(entry));
  if (!TRY(link_from_index(op, now, *dir, entry))) return nullptr;
  return lookup(op, *dir, base_name(now.virt), Search::kUnchecked);
}

// A hard link whose inode was copied up by another name.
Result<const Node*> link_up(Op& op, const Node& node) {
  Mutation mutation(op.session(), Mutation::Topology::kShared);
  mutation.lock_dir(*node.overlay, node.up->virt);
  const Node* now = TRY(again(op, node));
  if (now->where != Where::kLower || now->index.empty()) return nullptr;
  return bring_from_index(op, mutation, *now, nullptr, now->index);
}

// Requires: `copy` is prepared. nullptr: the name has changed hands meanwhile.
Result<const Node*> publish(Op& op, const Node& node, Copy& copy) {
  Mutation mutation(op.session(), Mutation::Topology::kShared);
  mutation.lock_dir(*node.overlay, node.up->virt);
  const Node* now = TRY(again(op, node));
  if (now->where != Where::kLower || !(now->lowers[0].path == node.lowers[0].path)) return nullptr;
  if (copy.indexed()) return bring_from_index(op, mutation, *now, &copy, TRY(copy.entry()));
  const Node* dir = TRY(copy_up_dir(op, *now->up));
  Result<void> r = copy.publish(*dir, now->upper);
  if (!r.ok() && r.error() == EEXIST) return nullptr;
  TRY(r);
  return lookup(op, *dir, base_name(node.virt), Search::kUnchecked);
}

// nullptr: the name has changed hands meanwhile.
Result<const Node*> bring(Op& op, const Node& node, Data data, UniqueFd* emptied) {
  Copy copy(op, node, data);
  TRY(copy.prepare());
  Result<const Node*> now = publish(op, node, copy);
  if (emptied != nullptr) *emptied = copy.take_emptied();
  return now;
}

Result<const Node*> up_dir(Op& op, const Node& node) {
  Mutation mutation(op.session(), Mutation::Topology::kShared);
  const Node* now = TRY(again(op, node));
  if (!now->exists() || !now->is_dir()) return Error(ENOENT);
  return copy_up_dir(op, *now);
}

}  // namespace

Result<CStr> copy_up_nameless(Op& op, const Node& node) {
  Copy copy(op, node, Data::kAll);
  return copy.prepare_nameless();
}

namespace {

Result<const Node*> copy_up_file(Op& op, const Node& node, Data data, UniqueFd* emptied) {
  const bool with_metacopy = data == Data::kNone || emptied != nullptr;
  const Node* now = &node;
  for (int i = 0; i < kTries; i++) {
    // Another type is another object: what the caller wanted is gone.
    if (!now->exists() || (now->mode & S_IFMT) != (node.mode & S_IFMT)) return Error(ENOENT);
    if (now->in_upper()) {
      if (!now->metacopy() || with_metacopy) return now;
      TRY(complete(op, *now, data));
    } else {
      if (now->overlay->upper_layer == nullptr) return Error(EROFS);
      const Node* done =
          now->index.empty() ? TRY(bring(op, *now, data, emptied)) : TRY(link_up(op, *now));
      if (emptied != nullptr && emptied->valid()) return done != nullptr ? done : now;
      // Somebody else's copy in the index may be without its data.
      if (done != nullptr && (!done->metacopy() || with_metacopy)) return done;
    }
    now = TRY(again(op, node));
  }
  return Error(ENOENT);
}

}  // namespace

Result<const Node*> copy_up(Op& op, const Node& node, Data data) {
  if (node.is_dir()) return node.in_upper() ? Result<const Node*>(&node) : up_dir(op, node);
  return copy_up_file(op, node, data, nullptr);
}

Result<const Node*> copy_up_empty(Op& op, const Node& node, UniqueFd* emptied) {
  return copy_up_file(op, node, Data::kDrop, emptied);
}

}  // namespace ovl
