// See plain.h.
#include "core/session/plain.h"

namespace ovl {
namespace {

constexpr uint32_t kEntries = 1024;
std::atomic<uint64_t> table[kEntries];

// One word says it all: what it was made of is not kept. (Two objects of one mix would have to meet
// in 2^64.)
uint64_t mix(uint64_t stamp, uint64_t dev, uint64_t ino) {
  uint64_t h = 0x9e3779b97f4a7c15u;
  for (uint64_t word : {stamp, dev, ino}) {
    h ^= word;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 32;
    h *= 0xc4ceb9fe1a85ec53u;
    h ^= h >> 29;
  }
  return h | 1;
}

std::atomic<uint64_t>& entry_of(uint64_t dev, uint64_t ino) {
  return table[mix(0, dev, ino) / 2 % kEntries];
}

}  // namespace

uint64_t shown_stamp(const Session& session) {
  const uint64_t finished = session.state().shown_finished.load(std::memory_order_acquire);
  const uint64_t started = session.state().shown_started.load(std::memory_order_acquire);
  return started == finished ? started + 1 : 0;
}

void remember_plain(uint64_t stamp, uint64_t dev, uint64_t ino) {
  if (stamp != 0) entry_of(dev, ino).store(mix(stamp, dev, ino), std::memory_order_relaxed);
}

bool is_plain(uint64_t stamp, uint64_t dev, uint64_t ino) {
  return stamp != 0 && entry_of(dev, ino).load(std::memory_order_relaxed) == mix(stamp, dev, ino);
}

ShownChange::ShownChange(const Session& session) : state_(session.state()) {
  state_.shown_started.fetch_add(1, std::memory_order_acq_rel);
}

ShownChange::~ShownChange() { state_.shown_finished.fetch_add(1, std::memory_order_acq_rel); }

}  // namespace ovl
