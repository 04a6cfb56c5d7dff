// See linked.h.
#include "core/copy_up/linked.h"

#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/session/plain.h"
#include "core/walk/beside.h"
#include "core/walk/index.h"
#include "core/walk/lookup.h"

namespace ovl {
namespace {

// How an inode's link count stands.
struct Count {
  uint32_t real = 0;   // of the upper's inode
  uint32_t shown = 0;  // to programs
  NlinkBase base = NlinkBase::kUpper;
};

// What carries the private xattrs of an inode in the index.
Result<CStr> marked_path(Op& op, const Overlay& overlay, CStr entry) {
  StatX st;
  TRY(sys_lstat(entry, &st));
  return stands_beside(overlay, st.stx_mode) ? beside_path(op, overlay, Object::at(entry))
                                             : Result<CStr>(entry);
}

// `marked`: what carries its private xattrs. `lower`: the lower's link count, or 0.
Result<Count> read_count(const Overlay& overlay, CStr real, CStr marked, uint32_t lower) {
  char value[kNlinkMax];
  const size_t size =
      TRY(sys_lgetxattr(marked, priv_name(overlay.format, Priv::kNlink), value, sizeof value));
  StatX st;
  TRY(sys_lstat(real, &st));
  Count count;
  count.real = st.stx_nlink;
  if (size != 0) count.base = static_cast<NlinkBase>(value[0]);
  const Result<uint32_t> shown = decode_nlink(Str(value, size), st.stx_nlink, lower);
  // Without the lower's nothing is known but that the index is no name.
  count.shown = shown.ok() ? shown.value() : st.stx_nlink > 1 ? st.stx_nlink - 1 : 1;
  return count;
}

Result<void> write_count(Op& op, const Overlay& overlay, CStr marked, NlinkBase base,
                         uint32_t shown, uint32_t relative_to) {
  char value[kNlinkMax];
  const size_t size = encode_nlink(base, shown, relative_to, value);
  return set_mark(op, overlay, marked, Priv::kNlink, Str(value, size));
}

// The entry has gone, or nothing that counts: a companion is lost where a workdir was copied.
bool is_uncounted(int error) { return error == ENOENT || error == ENODATA; }

// Of the lower's object that a node has below it; 0: none.
Result<uint32_t> lower_nlink(const Node& node) {
  if (node.lower_count == 0) return 0;
  StatX st;
  TRY(sys_lstat(node.lowers[0].path, &st));
  return st.stx_nlink;
}

}  // namespace

Result<bool> publish_in_index(Op& op, Temp& temp, CStr entry) {
  // Whoever looks from now on asks the index too.
  op.session().state().index_used.store(1, std::memory_order_seq_cst);
  // Every name shows the copy's attributes at once.
  const ShownChange change(op.session());
  Result<void> r = temp.publish(entry, RENAME_NOREPLACE);
  if (!r.ok() && r.error() == ENOENT) {
    const CStr dir = op.arena().dup(dir_name(entry));
    TRY(ignore_if(make_own_directory(dir), EEXIST));
    r = temp.publish(entry, RENAME_NOREPLACE);
  }
  if (!r.ok() && r.error() == EEXIST) return false;
  TRY(r);
  op.session().count(Counter::kCopyUps);
  return true;
}

Result<bool> link_from_index(Op& op, const Node& node, const Node& dir, CStr entry) {
  const Overlay& overlay = *node.overlay;
  const uint32_t lower = TRY(lower_nlink(node));
  const Result<CStr> marks = marked_path(op, overlay, entry);
  if (!marks.ok() && marks.error() == ENOENT) return false;
  const CStr marked = TRY(marks);
  const Result<Count> read = read_count(overlay, entry, marked, lower);
  TRY(mark_impure(op, dir));
  const KeepTimes keep = TRY(KeepTimes::of(dir.upper));
  if (!read.ok() && is_uncounted(read.error())) {
    const Result<void> linked = sys_link(entry, node.upper);
    if (!linked.ok() && (linked.error() == ENOENT || linked.error() == EEXIST)) return false;
    TRY(linked);
    TRY(keep.restore());
    return true;
  }
  const Count count = TRY(read);
  TRY(write_count(op, overlay, marked, NlinkBase::kLower, count.shown, lower));
  const Result<void> linked = sys_link(entry, node.upper);
  const uint32_t real = linked.ok() ? count.real + 1 : count.real;
  const Result<void> counted =
      write_count(op, overlay, marked, NlinkBase::kUpper, count.shown, real);
  if (!linked.ok()) return linked.error() == EEXIST ? Result<bool>(false) : Error(linked.error());
  TRY(keep.restore());
  // As it stands it is right too, but for names that are renamed.
  TRY(counted);
  return true;
}

Result<void> forget_index(const Overlay& overlay, const Object& marked) {
  TRY(ignore_if(marked.remove(priv_name(overlay.format, Priv::kOrigin)), ENODATA));
  return ignore_if(marked.remove(priv_name(overlay.format, Priv::kNlink)), ENODATA);
}

Result<void> leave_index(Op& op, const Overlay& overlay, CStr entry, uint32_t lower) {
  StatX st;
  TRY(sys_lstat(entry, &st));
  if (S_ISDIR(st.stx_mode)) return sys_rmdir(entry);
  const CStr marked = TRY(marked_path(op, overlay, entry));
  // What carries its marks itself has this name alone here.
  const UniqueFd inode = TRY(sys_openat(entry, O_PATH | O_NOFOLLOW));
  const Result<Count> count = read_count(overlay, entry, marked, lower);
  if (!count.ok() && !is_uncounted(count.error())) return Error(count.error());
  if (count.ok() && lower != 0)
    TRY(write_count(op, overlay, marked, NlinkBase::kLower, count.value().shown, lower));
  TRY(sys_unlink(entry));
  if (!count.ok()) return {};
  return forget_index(overlay,
                      marked == Str(entry) ? Object::open_path(inode.get()) : Object::at(marked));
}

bool is_to_be_counted(const Node& node) {
  if (node.where != Where::kLower || node.is_dir() || node.overlay->upper_layer == nullptr)
    return false;
  return !node.index.empty() || may_index(*node.overlay, *node.lowers[0].layer, node.real);
}

Result<bool> bring_to_count(Op& op, const Node& node) {
  if (!is_to_be_counted(node)) return true;
  const Result<const Node*> brought = copy_up(op, node, Data::kNone);
  if (brought.ok() || brought.error() == ENOENT) return true;
  // What can't be read can't be copied, but removed: the other names go on with the lower's count.
  return brought.error() == EACCES || brought.error() == EPERM ? Result<bool>(false)
                                                               : Error(brought.error());
}

Result<void> LinkCount::hold(Op& op, Mutation& mutation, const Node& node) {
  if (!node.in_upper() || node.is_dir() || !node.priv.has(Priv::kNlink)) return {};
  const Overlay& overlay = *node.overlay;
  char origin[kFileHandleMax];
  const Result<size_t> size =
      sys_lgetxattr(node.marked(), priv_name(overlay.format, Priv::kOrigin), origin, sizeof origin);
  FileHandle handle;
  if (!size.ok() && size.error() != ENODATA) return Error(size.error());
  if (!size.ok() || !decode_origin(origin, size.value(), &handle).ok() || size.value() == 0)
    return {};
  const CStr entry = TRY(index_path(op, overlay, origin, size.value()));
  mutation.lock_entry(entry);
  const uint32_t lower = TRY(lower_nlink(node));
  const Count count = TRY(read_count(overlay, node.upper, node.marked(), lower));
  if (count.base != NlinkBase::kUpper)  // left so by a kill
    TRY(write_count(op, overlay, node.marked(), NlinkBase::kUpper, count.shown, count.real));
  entry_ = entry;
  nlink_ = count.shown;
  return {};
}

void LinkCount::lost_name() const {
  if (nlink_ == 1) ignore(sys_unlink(entry_));
}

Result<void> settle_count(Op& op, const Node& node) {
  if (!node.in_upper() || node.is_dir() || !node.priv.has(Priv::kNlink)) return {};
  Mutation mutation(op.session(), Mutation::Topology::kShared);
  mutation.lock_dir(*node.overlay, node.up->virt);
  const Node* now = TRY(again(op, node));
  return now->in_upper() ? LinkCount().hold(op, mutation, *now) : Result<void>();
}

}  // namespace ovl
