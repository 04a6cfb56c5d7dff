// See nameless.h.
#include "core/names/nameless.h"

#include "core/attr/attr.h"
#include "core/copy_up/copy_up.h"
#include "core/session/lock.h"
#include "core/session/moved_file.h"
#include "core/session/readers.h"
#include "core/walk/copied_from.h"
#include "core/walk/index.h"

namespace ovl {
namespace {

// The lower that this real path lies in.
const Layer* lower_with(const Overlay& overlay, Str real) {
  for (uint32_t i = 0; i < overlay.lower_count; i++)
    if (is_below_or_same(real, overlay.lowers[i].root)) return &overlay.lowers[i];
  return nullptr;
}

// In the table of moved files, under what is no path.
CStr kept_key(Op& op, const StatX& st) {
  char text[1 + sizeof st.stx_ino];
  text[0] = '\n';
  memcpy(text + 1, &st.stx_ino, sizeof st.stx_ino);
  return op.arena().dup(Str(text, sizeof text));
}

// What stands at this real path as a node: with attributes, and the lower that it was copied from.
Result<Node*> node_there(Op& op, const Overlay& overlay, Where where, CStr upper,
                         const LowerRef& lower) {
  Node* node = op.arena().make<Node>();
  LowerRef* lowers = op.arena().array<LowerRef>(1);
  if (node == nullptr || lowers == nullptr) return Error(ENOMEM);
  lowers[0] = lower;
  node->overlay = &overlay;
  node->where = where;
  node->upper = upper;
  node->lowers = lowers;
  node->lower_count = 1;
  TRY(load_attributes(op, node));
  return node;
}

Result<Node*> in_index(Op& op, const Overlay& overlay, const LowerRef& lower, int fd) {
  if (op.session().state().index_used.load(std::memory_order_acquire) == 0) return nullptr;
  StatX st;
  TRY(sys_fstat(fd, &st));
  const CStr entry = TRY(index_entry(op, overlay, lower, st));
  StatX there;
  if (entry.empty() || !sys_lstat(entry, &there).ok()) return nullptr;
  Node* node = TRY(node_there(op, overlay, Where::kUpper, entry, lower));
  StatX shown;
  TRY(shown_stat(op, *node, &shown));
  return shown.stx_nlink != 0 ? node : nullptr;
}

Result<Node*> in_workdir(Op& op, const Overlay& overlay, const LowerRef& lower) {
  const CStr kept = moved_file_at(op.session(), op.arena(), lower.path);
  StatX there;
  if (kept.empty() || !is_below_or_same(kept, overlay.work) || !sys_lstat(kept, &there).ok())
    return nullptr;
  return node_there(op, overlay, Where::kUpper, kept, lower);
}

// Readers of the lower's file find the copy of it from now on.
bool note_kept(Op& op, CStr lower, const StatX& copy, CStr kept) {
  if (!moved_file_note(op.session(), kept_key(op, copy), kept) ||
      !moved_file_note(op.session(), lower, kept))
    return false;
  op.session().state().kept_used.store(1, std::memory_order_release);
  return true;
}

// Has it a name after all? A look that failed by chance would make two files of one. nullptr: none.
Result<const Node*> node_with_name(Op& op, CStr lower) {
  const CStr virt = TRY(map_back(op, lower));
  const Result<const Node*> node = node_at(op, virt);
  if (!node.ok() && (node.error() == ENOENT || node.error() == ENOTDIR)) return nullptr;
  if (!node.ok()) return Error(node.error());
  if (node.value()->outside() || !node.value()->exists()) return nullptr;
  return TRY(is_copied_from(op, *node.value(), lower)) ? node.value() : nullptr;
}

// Of what a descriptor is on: nothing where the file is no lower's of an overlay that may be
// changed.
LowerRef lower_of(const FdNode& found) {
  const Overlay& overlay = *found.overlay;
  const Layer* layer = lower_with(overlay, found.real);
  return LowerRef{overlay.upper_layer != nullptr ? layer : nullptr, found.real};
}

}  // namespace

KeptForReaders::KeptForReaders(Op& op, const Node& node) {
  const Overlay& overlay = *node.overlay;
  // Another name shows what is changed, and an index has its own.
  if (!node.in_upper() || !node.is_regular() || node.lower_count == 0 || overlay.level != 0 ||
      node.real.stx_nlink != 1)
    return;
  const CStr lower = node.lowers[node.lower_count - 1].path;
  StatX st;
  if (!sys_lstat(lower, &st).ok() || !may_have_readers(op.session(), st)) return;
  Temp place(op, overlay);
  if (!sys_link(node.upper, place.path()).ok()) return;
  place.keep();
  lower_ = lower;
  kept_ = place.path();
  st_ = node.real;
}

KeptForReaders::~KeptForReaders() {
  if (!kept_.empty()) ignore(sys_unlink(kept_));
}

void KeptForReaders::done(Op& op) {
  Session& session = op.session();
  if (kept_.empty() || !moved_file_note(session, kept_key(op, st_), kept_) ||
      !moved_file_note(session, lower_, kept_))
    return;
  op.session().state().kept_used.store(1, std::memory_order_release);
  kept_ = CStr();
  look_for_stale_again(op.session());
}

bool is_kept(Op& op, const StatX& st) {
  return op.session().state().kept_used.load(std::memory_order_acquire) != 0 && st.stx_nlink == 1 &&
         !moved_file_at(op.session(), op.arena(), kept_key(op, st)).empty();
}

Result<Nameless> nameless_copy(Op& op, const FdNode& found, int fd) {
  Nameless result;
  if (!found.on_lower || !found.detached) return result;
  const LowerRef lower = lower_of(found);
  if (lower.layer == nullptr) return result;
  result.node = TRY(in_index(op, *found.overlay, lower, fd));
  if (result.node != nullptr) return result;
  result.node = TRY(in_workdir(op, *found.overlay, lower));
  result.gone = result.node != nullptr;
  return result;
}

Result<const Node*> bring_nameless(Op& op, const FdNode& found, int fd) {
  if (const Node* named = TRY(node_with_name(op, found.real)))
    return copy_up(op, *named, Data::kNone);
  const Nameless there = TRY(nameless_copy(op, found, fd));
  if (there.node != nullptr) return there.node;
  const LowerRef lower = lower_of(found);
  // What an inner session has below it has a name there.
  if (lower.layer == nullptr || found.overlay->level != 0) return Error(EROFS);
  const Node* node = TRY(node_there(op, *found.overlay, Where::kLower, CStr(), lower));
  if (!node->is_regular()) return Error(EROFS);
  const CStr kept = TRY(copy_up_nameless(op, *node));
  Mutation mutation(op.session(), Mutation::Topology::kShared);
  mutation.lock_dir(*found.overlay, lower.path);  // as if it were the file's name: others make one
  const Node* first = TRY(in_workdir(op, *found.overlay, lower));
  StatX st;
  Result<void> r = sys_lstat(kept, &st);
  if (r.ok() && first == nullptr) {
    const DataChange data(op.session(), &node->real);
    if (note_kept(op, lower.path, st, kept))
      return TRY(node_there(op, *found.overlay, Where::kUpper, kept, lower));
    r = Error(EROFS);
  }
  ignore(sys_unlink(kept));
  TRY(r);
  return first;
}

}  // namespace ovl
