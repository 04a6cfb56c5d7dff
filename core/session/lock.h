// Process-shared locks of the session. A word holds 0 or the owner's tid. Contended words go to
// FUTEX_LOCK_PI: the kernel itself finds out that an owner has died (OWNER_DIED in the word when a
// waiter was queued, ESRCH when the tid is nobody's), so a SIGKILL while holding blocks nobody, and
// no robust list of the program's libc is needed. What remains: when the dead owner's tid is given
// to another task before anybody asks for the word again, the kernel takes that task for the owner,
// and who asks waits until it ends.
//
// Lock order:
//   topology (shared: one shard; exclusive: all shards in ascending order)
//     directory locks (by ascending index of the bucket)
//       an entry of an index: one at most
//         the table of moved files: leaf
//   descriptors of a process (ops/follow.h): alone
//   completion (of one metacopy's data): alone, no other is taken while it is held
// Readers take none: a walk that met an exclusive Mutation is done again inside a shared one
// (walk(), Segment::epoch). Signals are blocked while any is held: a handler could want the same
// one.
#pragma once

#include <signal.h>
#include <stdint.h>

#include "core/base/result.h"
#include "core/base/str.h"
#include "core/session/session.h"

namespace ovl {

// Holds the session still for one mutation. kShared: no directory of any overlay moves or
// disappears meanwhile (walks done inside stay true for directories), other names may change until
// lock_dir(). kExclusive: for renaming or removing directories.
class Mutation {
 public:
  enum class Topology { kShared, kExclusive };
  Mutation(Session& session, Topology topology);
  ~Mutation();
  Mutation(const Mutation&) = delete;
  Mutation& operator=(const Mutation&) = delete;

  // Excludes all other mutations of names in the directory (virtual path). At most one call of
  // either form. Requires nothing. After it, look names up again: what was seen before may be
  // stale.
  void lock_dir(const Overlay& overlay, Str dir);
  void lock_dirs(const Overlay& overlay, Str a, Str b);
  // Excludes others that copy up, or count the names of, the inode with this entry in an index (its
  // real path). After the directories; at most one call. Look again after it, too.
  void lock_entry(Str entry);

 private:
  void lock_bucket(uint32_t index);
  void note_change();
  Session& session_;
  bool exclusive_;
  uint32_t shard_ = 0;
  int32_t held_[2] = {-1, -1};
  LockWord* entry_ = nullptr;
  bool changes_ = false;
  uint32_t self_;
  uint64_t old_mask_;
};

// Excludes other tasks that bring the data of the same upper file (by its real inode), and those
// that change the attributes of one that has its data still to come: what the writes take away is
// put back. Long: data is copied meanwhile. Requires: no Mutation held.
class Completion {
 public:
  // `wanted` = false: excludes nobody.
  Completion(Session& session, uint64_t ino, bool wanted = true);
  ~Completion();
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

 private:
  SharedState& state_;
  LockWord* word_ = nullptr;
  uint32_t self_ = 0;
  uint64_t old_mask_ = 0;
};

// The words themselves; for Mutation and tests. Requires: signals blocked. Never fails: an owner
// that died is replaced. Returns true when the previous owner died holding it.
bool lock_word(LockWord& word, uint32_t self);
void unlock_word(LockWord& word, uint32_t self);

}  // namespace ovl
