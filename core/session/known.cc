// See known.h. One entry per hash: a newer directory takes an older one's place. Release stores
// keep the odd sequence in front of the words, acquire loads the second look at it behind them.
#include "core/session/known.h"

namespace ovl {
namespace {

uint32_t index_of(Str path) {
  uint64_t h = 0xcbf29ce484222325u;
  for (char c : path) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return static_cast<uint32_t>((h ^ (h >> 29)) % kKnownDirectories);
}

// Eight bytes of a path, zeros behind its end.
uint64_t word_of(Str path, size_t index) {
  uint64_t word = 0;
  const Str part = path.sub(index * sizeof word, sizeof word);
  memcpy(&word, part.data(), part.size());
  return word;
}

size_t word_count(Str path) { return (path.size() + sizeof(uint64_t) - 1) / sizeof(uint64_t); }

bool fits(Str path) { return !path.empty() && word_count(path) <= kKnownWords; }

}  // namespace

bool is_known_directory(const Segment& segment, Str real) {
  if (!fits(real)) return false;
  const KnownDirectory& entry = segment.known_directories()[index_of(real)];
  const uint32_t sequence = entry.sequence.load(std::memory_order_acquire);
  if (sequence == 0 || (sequence & 1) != 0 ||
      entry.size.load(std::memory_order_acquire) != real.size())
    return false;
  for (size_t i = 0; i < word_count(real); i++)
    if (entry.words[i].load(std::memory_order_acquire) != word_of(real, i)) return false;
  return entry.sequence.load(std::memory_order_relaxed) == sequence;
}

void remember_directory(Segment& segment, Str real) {
  if (!fits(real)) return;
  KnownDirectory& entry = segment.known_directories()[index_of(real)];
  uint32_t sequence = entry.sequence.load(std::memory_order_relaxed);
  if ((sequence & 1) != 0 ||
      !entry.sequence.compare_exchange_strong(sequence, sequence + 1, std::memory_order_acquire))
    return;
  entry.size.store(static_cast<uint32_t>(real.size()), std::memory_order_release);
  for (size_t i = 0; i < word_count(real); i++)
    entry.words[i].store(word_of(real, i), std::memory_order_release);
  entry.sequence.store(sequence + 2, std::memory_order_release);
}

}  // namespace ovl
