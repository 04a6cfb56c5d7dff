// A name that is to be made, removed or moved: found by a walk, then held still and looked at
// again. Everything that changes names goes this way. Kernel counterpart: filename_create(),
// lock_rename(), and the checks of fs/namei.c in their order.
#pragma once

#include "core/copy_up/copy_up.h"
#include "core/session/lock.h"
#include "core/session/name_watch.h"
#include "core/walk/changed.h"
#include "core/walk/walk.h"

namespace ovl {

// What the walks of the operations return when what they saw has changed meanwhile: to be walked
// again.
constexpr int kLookAgain = ESTALE;
// More often than this a name does not change hands by chance.
constexpr int kMostLooks = 1000;

// Of a copy-up: what it was to bring has gone, or is of another type by now.
inline Result<const Node*> still(Result<const Node*> node) {
  return !node.ok() && node.error() == ENOENT ? Result<const Node*>(Error(kLookAgain)) : node;
}

// Runs one attempt after the other until one has seen a state that held still. `attempt` returns an
// Outcome.
template <class Attempt>
Outcome until_still(Attempt attempt) {
  for (int i = 0; i < kMostLooks; i++) {
    Outcome outcome = attempt();
    if (outcome.is_native() || outcome.value() != -kLookAgain) return outcome;
  }
  return Error(ENOENT);
}

// The error of what was done by the name of an upper's object, where another one or a whiteout has
// got that since. kLookAgain.
inline Outcome unless_gone(const Node& node, const NameWatch& names, Outcome outcome) {
  const bool certain = outcome.is_native() || outcome.value() >= 0 || !node.in_upper() ||
                       names.held_still() || still_stands(node);
  return certain ? outcome : Outcome(Error(kLookAgain));
}

// A path whose last name is to be made, removed or moved, and what it led to.
class NamePath {
 public:
  NamePath(Op& op, int dirfd) : op_(op), dirfd_(dirfd) {}

  // Copies the path in and walks it.
  Result<void> find(UserPath path, unsigned walk_flags);
  Result<void> find(CStr path, unsigned walk_flags);
  // Walks once more, when a directory was moved or removed since. Requires: a Mutation. kLookAgain:
  // it leads out of the overlay now.
  Result<void> settle();

  // Of a path that is not ours: is there something? The error of looking.
  Result<void> exists_outside() const;
  // Likewise the directory that it names something in.
  Result<void> directory_exists_outside() const;

  CStr path() const { return path_; }
  const Walked& walked() const { return walked_; }
  bool native() const { return walked_.native; }
  // Leads to a real path that is in no overlay.
  bool outside() const { return !native() && walked_.outside(); }
  // In an overlay, and nothing that is a mount point for programs.
  bool ours() const { return !native() && !outside(); }

 private:
  Result<void> exists_outside(CStr path) const;

  Op& op_;
  const int dirfd_;
  CStr path_;
  unsigned flags_ = 0;
  Walked walked_;
  uint64_t epoch_ = 0;
};

// A name as it is now, in a directory as it is now.
struct Place {
  const Node* dir = nullptr;
  const Node* node = nullptr;
};

// Requires: a Mutation with the directory locked, walked.settle().
Result<Place> look_again(Op& op, const Walked& walked);

// May something new be called so? EEXIST, ENOENT (a trailing slash where no directory is made),
// EROFS, EACCES: in the kernel's order.
Result<void> may_create(Op& op, const Walked& walked, const Place& place, bool directory);

// Is this path the root of an overlay or of an excluded tree, or does one lie below it? Such a
// directory can neither move nor go.
bool is_mount_point(const Session& session, Str virt);
bool holds_mount_point(const Session& session, Str virt);

// Does a lower layer show something by this name in the directory, so that it has to be covered by
// a whiteout (or an opaque directory) when the upper has nothing there? Kernel counterpart:
// ovl_lower_positive().
Result<bool> lower_has(Op& op, const Node& dir, Str name);

}  // namespace ovl
