// How an attribute operation finds its object, and how it brings it where it may be changed. A path
// is walked; a descriptor is a real one on a real object, which maps back to a node, unless the
// object has no name any more.
#pragma once

#include "core/attr/attr.h"
#include "core/copy_up/copy_up.h"
#include "core/names/place.h"
#include "core/ops/ops.h"
#include "core/session/lock.h"
#include "core/walk/walk.h"

namespace ovl {

struct Target {
  bool native = false;         // not ours: run the original arguments
  CStr outside;                // not empty: the object at this real path, outside of every overlay
  const Node* node = nullptr;  // else: an object of an overlay

  Object top;     // the real topmost object: what attributes are read from
  BorrowedFd fd;  // of a target by descriptor
  bool by_fd = false;
  bool on_path = false;   // an O_PATH descriptor
  bool on_lower = false;  // the descriptor is on a lower's object
  bool detached =
      false;  // unlinked or replaced: `node` is made up, has no name; `top` is the descriptor

  FdNode found;  // of a detached one on a lower, or empty

  // Its last name has gone here, and for the kernel it has one still.
  bool gone = false;

  bool is_outside() const { return !outside.empty(); }
};

// Resolves (dirfd, path). flags: kFollow, kEmptyPath. Errors: as walk_existing().
Result<Target> find(Op& op, int dirfd, CStr path, unsigned flags);
Result<Target> find(Op& op, int dirfd, UserPath path, unsigned flags);
inline unsigned walk_flags(int at_flags) {
  return ((at_flags & AT_SYMLINK_NOFOLLOW) ? 0u : unsigned{kFollow}) |
         ((at_flags & AT_EMPTY_PATH) ? unsigned{kEmptyPath} : 0u);
}

// The object behind a descriptor. kOpened: EBADF for O_PATH ones, as fchmod(2) and its like have
// it.
enum class FdUse : uint8_t { kAny, kOpened };
Result<Target> find_fd(Op& op, int fd, FdUse use);

// A system call of the kind call(dirfd, path, args...) on an object outside of the overlays.
template <class... Args>
inline Outcome call_outside(const Target& t, long number, Args... args) {
  At at(t.outside);
  if (at.error()) return Error(at.error());
  return raw_call(number, at.dirfd(), at.name(), args...);
}

// Where a change is about to happen: the object is in the upper, and nobody else changes its
// attributes meanwhile.
struct Changing {
  const Node* node;  // as it is now
  Object object;
};

// Requires: mutation holds no directory yet; node is in the upper. Locks the directory and looks
// again. kLookAgain: gone, or another by now.
Result<Changing> begin_change(Op& op, Mutation& mutation, const Target& t, const Node& node);

// The same for what is detached: a file of a lower gets a copy. EROFS: it can have none.
Result<Changing> begin_detached(Op& op, const Target& t);

// Refuses early what would be refused after a copy-up: EROFS.
Result<void> may_change(const Target& t);

// The whole way: copy-up of what is needed, the lock, then act(const Changing&) -> Result<void>.
// kLookAgain: to be found again, and asked whether it may be changed.
template <class Act>
Result<void> change(Op& op, const Target& t, Data data, Act act) {
  TRY(may_change(t));
  if (t.detached) return act(TRY(begin_detached(op, t)));
  const Node* node = t.node;
  if (!node->in_upper() || (data != Data::kNone && node->metacopy()))
    node = TRY(still(copy_up(op, *node, data)));
  const Completion completion(op.session(), node->real.stx_ino, node->metacopy());
  Mutation mutation(op.session(), Mutation::Topology::kShared);
  return act(TRY(begin_change(op, mutation, t, *node)));
}

// Every operation that calls change(): finds its target, and finds it again as long as it changes
// hands in between. find() -> Result<Target>, act(const Target&) -> Outcome.
template <class Find, class Act>
Outcome on_target(Find find, Act act) {
  return until_still([&]() -> Outcome {
    const Target t = TRY(find());
    return act(t);
  });
}

// Those that only look.
template <class Find, class Act>
Outcome at_target(Op& op, Find find, Act act) {
  return until_still([&]() -> Outcome {
    const NameWatch names(op.session());
    const Target t = TRY(find());
    const Outcome outcome = act(t);
    return t.native || t.is_outside() || t.by_fd ? outcome : unless_gone(*t.node, names, outcome);
  });
}

}  // namespace ovl
