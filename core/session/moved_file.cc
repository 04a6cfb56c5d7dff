// See moved_file.h. A path has a few places that it may stand in, by its hash. Release stores keep
// the odd sequence in front of the words, acquire loads the second look at it behind them.
#include "core/session/moved_file.h"

#include <signal.h>

#include "core/session/lock.h"
#include "core/sys/sys.h"

namespace ovl {
namespace {

constexpr uint32_t kPlaces = 8;
constexpr int kTries = 16;
constexpr size_t kNameMost = kMovedFileWords * sizeof(uint64_t);

uint64_t key_of(Str real) {
  uint64_t h = 0xcbf29ce484222325u;
  for (char c : real) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  h ^= h >> 29;
  return h != 0 ? h : 1;
}

MovedFile& place(SharedState& state, uint64_t key, uint32_t i) {
  return state.moved_files[(key / kPlaces * kPlaces + i) % kMovedFiles];
}

MovedFile* find(SharedState& state, uint64_t key) {
  for (uint32_t i = 0; i < kPlaces; i++)
    if (place(state, key, i).key.load(std::memory_order_acquire) == key)
      return &place(state, key, i);
  return nullptr;
}

// Leaf of the lock order.
class Writing {
 public:
  explicit Writing(SharedState& state)
      : word_(state.moved_file_lock), self_(static_cast<uint32_t>(sys_gettid())) {
    const uint64_t all = ~uint64_t{0};
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof all);
    lock_word(word_, self_);
  }
  ~Writing() {
    unlock_word(word_, self_);
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

 private:
  LockWord& word_;
  uint32_t self_;
  uint64_t old_mask_ = 0;
};

// A name that is read while it changes is none.
size_t read_name(const MovedFile& entry, uint64_t key, char* out) {
  for (int i = 0; i < kTries; i++) {
    const uint32_t before = entry.sequence.load(std::memory_order_acquire);
    if ((before & 1) != 0) continue;
    const size_t size = entry.size.load(std::memory_order_acquire);
    if (size > kNameMost || entry.key.load(std::memory_order_acquire) != key) return 0;
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
      const uint64_t word = entry.words[at / sizeof word].load(std::memory_order_acquire);
      memcpy(out + at, &word, sizeof word);
    }
    if (entry.sequence.load(std::memory_order_relaxed) == before) return size;
  }
  return 0;
}

// Requires: the lock, and room for it.
void write_name(MovedFile& entry, uint64_t key, Str head, Str tail = Str()) {
  char name[kNameMost] = {};
  memcpy(name, head.data(), head.size());
  if (!tail.empty()) memcpy(name + head.size(), tail.data(), tail.size());
  // One that was killed has left it odd.
  const uint32_t odd = entry.sequence.load(std::memory_order_relaxed) | 1;
  entry.sequence.store(odd, std::memory_order_seq_cst);
  entry.size.store(static_cast<uint32_t>(head.size() + tail.size()), std::memory_order_release);
  entry.key.store(key, std::memory_order_release);
  for (size_t i = 0; i < kMovedFileWords; i++) {
    uint64_t word;
    memcpy(&word, name + i * sizeof word, sizeof word);
    entry.words[i].store(word, std::memory_order_release);
  }
  entry.sequence.store(odd + 1, std::memory_order_release);
}

}  // namespace

bool moved_file_note(Session& session, Str real, Str shown) {
  if (!session.shared() || shown.size() > kNameMost) return false;
  SharedState& state = session.state();
  const uint64_t key = key_of(real);
  char name[kNameMost];
  if (const MovedFile* entry = find(state, key))
    if (Str(name, read_name(*entry, key, name)) == shown) return true;
  const Writing writing(state);
  MovedFile* entry = find(state, key);
  for (uint32_t i = 0; i < kPlaces && entry == nullptr; i++)
    if (place(state, key, i).key.load(std::memory_order_relaxed) == 0)
      entry = &place(state, key, i);
  if (entry == nullptr) return false;
  if (entry->key.load(std::memory_order_relaxed) == 0)
    state.moved_file_count.fetch_add(1, std::memory_order_release);
  write_name(*entry, key, shown);
  return true;
}

CStr moved_file_at(const Session& session, Arena& arena, Str real) {
  SharedState& state = session.state();
  if (state.moved_file_count.load(std::memory_order_acquire) == 0) return CStr();
  const uint64_t key = key_of(real);
  const MovedFile* entry = find(state, key);
  if (entry == nullptr) return CStr();
  char name[kNameMost];
  return arena.dup(Str(name, read_name(*entry, key, name)));
}

void moved_file_rename(Session& session, Str from, Str to) {
  SharedState& state = session.state();
  if (state.moved_file_count.load(std::memory_order_acquire) == 0 || !session.shared()) return;
  const Writing writing(state);
  for (MovedFile& entry : state.moved_files) {
    const uint64_t key = entry.key.load(std::memory_order_relaxed);
    if (key == 0) continue;
    char name[kNameMost];
    const Str shown(name, read_name(entry, key, name));
    if (shown.empty() || !is_below_or_same(shown, from)) continue;
    const Str rest = shown.sub(from.size());
    // Too long for the table: nobody will find it, and the name is free for another.
    write_name(entry, key, to.size() + rest.size() <= kNameMost ? to : Str(""),
               to.size() + rest.size() <= kNameMost ? rest : Str(""));
  }
}

bool moved_file_has_plenty(const Session& session) {
  return session.state().moved_file_count.load(std::memory_order_relaxed) < kMovedFiles / 2;
}

}  // namespace ovl
