// See lock.h.
#include "core/session/lock.h"

#include <linux/futex.h>
#include <time.h>

#include "core/sys/sys.h"

namespace ovl {
namespace {

uint32_t bucket_of(const Overlay& overlay, Str dir) {
  uint64_t h = 0xcbf29ce484222325u + overlay.index;
  for (char c : dir) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return static_cast<uint32_t>((h ^ (h >> 32)) % kDirLocks);
}

}  // namespace

bool lock_word(LockWord& word, uint32_t self) {
  uint32_t seen = 0;
  if (word.compare_exchange_strong(seen, self, std::memory_order_acquire)) return false;
  for (;;) {
    // A vfork child that was killed, or a task whose tid another one got, is found by the timeout.
    timespec now;
    raw_call(SYS_clock_gettime, CLOCK_REALTIME, &now);
    now.tv_sec += 1;
    long r = raw_call(SYS_futex, &word, FUTEX_LOCK_PI, 0, &now, nullptr, 0);
    if (r == 0) {
      const bool died = (word.load(std::memory_order_relaxed) & FUTEX_OWNER_DIED) != 0;
      if (died) word.fetch_and(~static_cast<uint32_t>(FUTEX_OWNER_DIED), std::memory_order_relaxed);
      return died;
    }
    if (r == -EDEADLK) return false;  // ours already: an operation inside an operation
    seen = word.load(std::memory_order_relaxed);
    if (seen == 0) {
      if (word.compare_exchange_strong(seen, self, std::memory_order_acquire)) return false;
      continue;
    }
    const uint32_t owner = seen & FUTEX_TID_MASK;
    const bool gone = r == -ESRCH || (owner != 0 && raw_call(SYS_tkill, owner, 0) == -ESRCH);
    if (gone && word.compare_exchange_strong(seen, self, std::memory_order_acquire)) return true;
  }
}

void unlock_word(LockWord& word, uint32_t self) {
  uint32_t expected = self;
  if (word.compare_exchange_strong(expected, 0, std::memory_order_release)) return;
  raw_call(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, nullptr, nullptr, 0);
}

Mutation::Mutation(Session& session, Topology topology)
    : session_(session),
      exclusive_(topology == Topology::kExclusive),
      self_(static_cast<uint32_t>(sys_gettid())) {
  const uint64_t all = ~uint64_t{0};
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof all);
  Segment& segment = session_.segment();
  if (exclusive_) {
    for (LockWord& word : segment.topology) lock_word(word, self_);
  } else {
    shard_ = self_ % kTopologyShards;
    lock_word(segment.topology[shard_], self_);
  }
}

Mutation::~Mutation() {
  Segment& segment = session_.segment();
  for (int i = 1; i >= 0; i--)
    if (held_[i] >= 0) unlock_word(segment.dirs[held_[i]], self_);
  if (exclusive_) {
    segment.epoch.fetch_add(1, std::memory_order_release);
    for (uint32_t i = kTopologyShards; i-- > 0;) unlock_word(segment.topology[i], self_);
  } else {
    unlock_word(segment.topology[shard_], self_);
  }
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
}

void Mutation::lock_bucket(uint32_t index) {
  lock_word(session_.segment().dirs[index], self_);
  held_[held_[0] < 0 ? 0 : 1] = static_cast<int32_t>(index);
}

void Mutation::lock_dir(const Overlay& overlay, Str dir) { lock_bucket(bucket_of(overlay, dir)); }

void Mutation::lock_dirs(const Overlay& overlay, Str a, Str b) {
  uint32_t first = bucket_of(overlay, a), second = bucket_of(overlay, b);
  if (first > second) std::swap(first, second);
  lock_bucket(first);
  if (second != first) lock_bucket(second);
}

Completion::Completion(Session& session, uint64_t ino)
    : word_(session.segment().completions[ino % kCompletionLocks]),
      self_(static_cast<uint32_t>(sys_gettid())) {
  const uint64_t all = ~uint64_t{0};
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof all);
  lock_word(word_, self_);
}

Completion::~Completion() {
  unlock_word(word_, self_);
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
}

}  // namespace ovl
