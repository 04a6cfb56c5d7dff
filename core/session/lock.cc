// See lock.h.
#include "core/session/lock.h"

#include <linux/futex.h>
#include <time.h>

#include "core/session/name_watch.h"
#include "core/sys/sys.h"

namespace ovl {
namespace {

uint32_t hash(Str text, uint32_t seed) {
  uint64_t h = 0xcbf29ce484222325u + seed;
  for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return static_cast<uint32_t>(h ^ (h >> 32));
}

uint32_t bucket_of(const Overlay& overlay, Str dir) { return hash(dir, overlay.id) % kDirLocks; }

}  // namespace

namespace {

// For the moment in which a dead owner's word is being handed to its first waiter (EINVAL), for
// memory that is short, and for a kernel without PI futexes. Not FUTEX_WAIT: a waiter of that kind
// makes the kernel refuse to unlock the word.
void wait_a_little() {
  const timespec wait = {0, 200'000};
  raw_call(SYS_nanosleep, &wait, nullptr);
}

// Is the owner dead, with no waiter that the kernel would give the word to? `result`: what
// FUTEX_LOCK_PI said.
bool is_abandoned(long result, uint32_t seen) {
  // Said only when nobody is queued. EPERM: a thread of the kernel has got the dead owner's number.
  if (result == -ESRCH || result == -EPERM) return true;
  // Nobody ever is queued.
  return result == -ENOSYS && raw_call(SYS_tkill, seen & FUTEX_TID_MASK, 0) == -ESRCH;
}

}  // namespace

bool lock_word(LockWord& word, uint32_t self) {
  uint32_t seen = 0;
  while (!word.compare_exchange_strong(seen, self, std::memory_order_acquire)) {
    const long r = raw_call(SYS_futex, &word, FUTEX_LOCK_PI, 0, nullptr, nullptr, 0);
    if (r == 0) {
      const bool died = (word.load(std::memory_order_acquire) & FUTEX_OWNER_DIED) != 0;
      if (died) word.fetch_and(~static_cast<uint32_t>(FUTEX_OWNER_DIED), std::memory_order_relaxed);
      return died;
    }
    if (r == -EDEADLK) return false;  // ours already: an operation inside an operation
    // The answer is about the owner that the kernel met. Another task may have taken the dead one's
    // place since: `seen` is from before the call, and only if it still stands there it is that
    // one.
    if (is_abandoned(r, seen)) {
      if (word.compare_exchange_strong(seen, self, std::memory_order_acquire)) return true;
    } else {
      wait_a_little();
    }
    seen = 0;
  }
  return false;
}

void unlock_word(LockWord& word, uint32_t self) {
  uint32_t expected = self;
  if (word.compare_exchange_strong(expected, 0, std::memory_order_release)) return;
  // The kernel hands the word over, and orders memory too; this says so to the thread sanitizer.
  word.fetch_or(0, std::memory_order_release);
  raw_call(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, nullptr, nullptr, 0);
}

Mutation::Mutation(Session& session, Topology topology)
    : session_(session),
      exclusive_(topology == Topology::kExclusive),
      self_(static_cast<uint32_t>(sys_gettid())) {
  const uint64_t all = ~uint64_t{0};
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof all);
  SharedState& state = session_.state();
  if (exclusive_) {
    for (LockWord& word : state.topology) lock_word(word, self_);
    // Odd while it lasts. One that was killed has left it odd: another odd number then.
    const uint64_t epoch = state.epoch.load(std::memory_order_relaxed);
    state.epoch.store((epoch + 1) | 1, std::memory_order_seq_cst);
  } else {
    shard_ = self_ % kTopologyShards;
    lock_word(state.topology[shard_], self_);
    // Left behind by one that was killed: now that we hold a shard, no other is at work.
    uint64_t epoch = state.epoch.load(std::memory_order_relaxed);
    if (epoch & 1) state.epoch.compare_exchange_strong(epoch, epoch + 1, std::memory_order_seq_cst);
  }
}

Mutation::~Mutation() {
  SharedState& state = session_.state();
  if (changes_) end_name_change(state);
  if (entry_ != nullptr) unlock_word(*entry_, self_);
  for (int i = 1; i >= 0; i--)
    if (held_[i] >= 0) unlock_word(state.dirs[held_[i]], self_);
  if (exclusive_) {
    state.epoch.fetch_add(1, std::memory_order_seq_cst);
    for (uint32_t i = kTopologyShards; i-- > 0;) unlock_word(state.topology[i], self_);
  } else {
    unlock_word(state.topology[shard_], self_);
  }
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
}

void Mutation::lock_bucket(uint32_t index) {
  session_.note_change();
  lock_word(session_.state().dirs[index], self_);
  held_[held_[0] < 0 ? 0 : 1] = static_cast<int32_t>(index);
  note_change();
}

void Mutation::note_change() {
  if (changes_) return;
  begin_name_change(session_.state());
  changes_ = true;
}

void Mutation::lock_dir(const Overlay& overlay, Str dir) { lock_bucket(bucket_of(overlay, dir)); }

void Mutation::lock_dirs(const Overlay& overlay, Str a, Str b) {
  uint32_t first = bucket_of(overlay, a), second = bucket_of(overlay, b);
  if (first > second) std::swap(first, second);
  lock_bucket(first);
  if (second != first) lock_bucket(second);
}

void Mutation::lock_entry(Str entry) {
  LockWord& word = session_.state().inodes[hash(entry, 0) % kInodeLocks];
  lock_word(word, self_);
  entry_ = &word;
  note_change();
}

Completion::Completion(Session& session, uint64_t ino, bool wanted) : state_(session.state()) {
  if (!wanted) return;
  word_ = &state_.completions[ino % kCompletionLocks];
  self_ = static_cast<uint32_t>(sys_gettid());
  const uint64_t all = ~uint64_t{0};
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof all);
  lock_word(*word_, self_);
  begin_name_change(state_);
}

Completion::~Completion() {
  if (word_ == nullptr) return;
  end_name_change(state_);
  unlock_word(*word_, self_);
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
}

}  // namespace ovl
