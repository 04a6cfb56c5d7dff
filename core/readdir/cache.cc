// See cache.h.
#include "core/readdir/cache.h"

#include <atomic>

namespace ovl {
namespace {

// Two loops at once is what find(1)-like programs come to.
constexpr uint32_t kSlots = 2;
// More than this is read afresh in each chunk rather than kept: a million entries come to about 80
// MB.
constexpr size_t kMost = size_t{256} << 20;

struct Slot {
  ListingKey key;
  MergedListing* listing() { return reinterpret_cast<MergedListing*>(memory); }
  alignas(MergedListing) unsigned char memory[sizeof(MergedListing)];  // no destructor at exit
};
static_assert(alignof(MergedListing) <= 16);

// All zero is a slot with an empty listing. A signal handler or another thread that finds the lock
// held goes without: sections are a few swaps long, and nothing in them can fail.
Slot slots[kSlots];
uint32_t next_slot;
std::atomic<uint32_t> busy;

class TryLock {
 public:
  TryLock() : held_(busy.exchange(1, std::memory_order_acquire) == 0) {}
  ~TryLock() {
    if (held_) busy.store(0, std::memory_order_release);
  }
  TryLock(const TryLock&) = delete;
  TryLock& operator=(const TryLock&) = delete;
  bool held() const { return held_; }

 private:
  const bool held_;
};

bool same_directory(const ListingKey& a, const ListingKey& b) {
  return a.dev == b.dev && a.ino == b.ino && a.place == b.place && a.caller == b.caller;
}

}  // namespace

ListingKey listing_key(const Caller& caller, const Node& dir, const StatX& real,
                       uint64_t position) {
  uint64_t place = 0xcbf29ce484222325u + dir.overlay->index;
  for (char c : dir.virt) place = (place ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return ListingKey{uint64_t{real.stx_dev_major} << 32 | real.stx_dev_minor, real.stx_ino, place,
                    position, caller.identity()};
}

bool take_listing(const ListingKey& key, const Node& dir, MergedListing* out) {
  ListingKey other;
  {
    TryLock lock;
    if (!lock.held()) return false;
    Slot* found = nullptr;
    for (Slot& slot : slots) {
      if (!slot.listing()->loaded() || !same_directory(slot.key, key)) continue;
      found = &slot;
      if (slot.key.position == key.position) break;
    }
    if (found == nullptr) return false;
    found->listing()->swap(*out);
    other = found->key;
    if (found->key.position == key.position) return true;
  }
  if (out->is_current(dir)) return true;
  keep_listing(other, out);  // its own loop goes on with it
  out->drop();
  return false;
}

void keep_listing(const ListingKey& key, MergedListing* listing) {
  if (listing->memory() > kMost) return;
  MergedListing old;  // dropped behind the lock
  {
    TryLock lock;
    if (!lock.held()) return;
    Slot* slot = nullptr;
    for (Slot& s : slots)
      if (!s.listing()->loaded()) slot = &s;
    if (slot == nullptr) slot = &slots[next_slot++ % kSlots];
    slot->key = key;
    old.swap(*slot->listing());
    slot->listing()->swap(*listing);
  }
}

}  // namespace ovl
