// See moved.h. Writers are serialised by the topology lock and may be killed between any two
// stores, readers take no lock:
// - an entry is published by its `overlay` field, written last, and withdrawn by it first;
// - renaming replaces one 64-bit field;
// - strings that an entry names are never written again. They fill one half of the string area;
// when that is full, the
//   live ones are copied to the other half, each entry following by itself;
// - before a free entry or half is used again the version is bumped: a reader that sees the same
// version before and after has
//   read nothing that was overwritten meanwhile.
#include "core/session/moved.h"

namespace ovl {
namespace {

constexpr uint32_t kHalf = kMovedStrings / 2;
constexpr uint32_t kSecondHalf =
    1u << 31;  // in moved_strings_used, beside the bytes used of that half

// A reader that meets writer after writer gives up on an entry: it answers as if it had come a
// little earlier.
constexpr int kTries = 16;

struct Text {
  uint32_t offset, size;
  uint32_t end() const { return offset + size; }
  bool in_half(uint32_t half) const { return offset / kHalf == half; }
};

Text text_of(uint64_t field) {
  return Text{static_cast<uint32_t>(field >> 32), static_cast<uint32_t>(field)};
}
uint64_t field_of(Text text) { return uint64_t{text.offset} << 32 | text.size; }
// Memory that programs share can hold anything.
bool is_sane(Text text) {
  return text.offset <= kMovedStrings && text.size <= kMovedStrings - text.offset;
}

char load_byte(const char& c) { return __atomic_load_n(&c, __ATOMIC_RELAXED); }
void store_byte(char* c, char value) { __atomic_store_n(c, value, __ATOMIC_RELAXED); }

class Moved {
 public:
  Moved(Session& session, const Overlay& overlay) : state_(session.state()), owner_(overlay.id) {}

  uint32_t count() const {
    const uint32_t n = state_.moved_count.load(std::memory_order_acquire);
    return n < kMovedMax ? n : kMovedMax;
  }
  MovedEntry& entry(uint32_t i) { return state_.moved[i]; }
  bool ours(uint32_t i) { return entry(i).overlay.load(std::memory_order_acquire) == owner_; }

  // Is the text `dir` or below it? Then *rest is what follows.
  bool at_or_below(Text text, Str dir, Text* rest) const {
    if (!is_sane(text) || text.size < dir.size()) return false;
    for (size_t i = 0; i < dir.size(); i++)
      if (load_byte(state_.moved_strings[text.offset + i]) != dir[i]) return false;
    if (text.size > dir.size() && load_byte(state_.moved_strings[text.offset + dir.size()]) != '/')
      return false;
    *rest = Text{text.offset + static_cast<uint32_t>(dir.size()),
                 text.size - static_cast<uint32_t>(dir.size())};
    return true;
  }
  // Is the path at the text or below it?
  bool contains(Text dir, Str path) const {
    if (!is_sane(dir) || dir.size > path.size() || dir.size == 0) return false;
    for (uint32_t i = 0; i < dir.size; i++)
      if (load_byte(state_.moved_strings[dir.offset + i]) != path[i]) return false;
    return path.size() == dir.size || path[dir.size] == '/';
  }
  char* copy_to(char* out, Text text) const {
    for (uint32_t i = 0; i < text.size; i++)
      *out++ = load_byte(state_.moved_strings[text.offset + i]);
    return out;
  }

  uint32_t version() const { return state_.moved_version.load(std::memory_order_acquire); }

  // All that was read before stays before this (a fence, in a form that the thread sanitizer
  // follows).
  uint32_t version_after_reads() const {
    return state_.moved_version.fetch_add(0, std::memory_order_acq_rel);
  }

  // --- writers ---
  // Makes room for strings of so many bytes; entries' strings may move. ENOSPC.
  Result<void> reserve(size_t bytes);
  // Writes head + tail. Requires: reserved.
  Text append(Str head, Text tail = Text{0, 0});
  Result<void> publish(Str lower, Str shown);
  void withdraw(uint32_t i) { entry(i).overlay.store(0, std::memory_order_release); }
  // Free entries at the end are not looked at any more.
  void trim();

 private:
  uint32_t half() const { return (state_.moved_strings_used & kSecondHalf) != 0 ? 1 : 0; }
  uint32_t used() const {
    const uint32_t bytes = state_.moved_strings_used & ~kSecondHalf;
    return bytes < kHalf ? bytes : kHalf;
  }
  void set_used(uint32_t half, uint32_t bytes) {
    state_.moved_strings_used = bytes | (half != 0 ? kSecondHalf : 0);
  }
  void bump() { state_.moved_version.fetch_add(1, std::memory_order_acq_rel); }
  Result<void> change_half(size_t bytes);

  SharedState& state_;
  const uint32_t owner_;
};

Result<void> Moved::reserve(size_t bytes) {
  if (bytes <= kHalf - used()) return {};
  return change_half(bytes);
}

Result<void> Moved::change_half(size_t bytes) {
  const uint32_t target = 1 - half();
  // A writer that was killed right here may have left live strings in the other half.
  uint32_t end = 0;
  size_t live = bytes;
  for (uint32_t i = 0; i < count(); i++) {
    if (entry(i).overlay.load(std::memory_order_relaxed) == 0) continue;
    for (const std::atomic<uint64_t>* field : {&entry(i).lower, &entry(i).shown}) {
      const Text text = text_of(field->load(std::memory_order_relaxed));
      if (!is_sane(text)) continue;
      if (!text.in_half(target))
        live += text.size;
      else if (text.end() - target * kHalf > end)
        end = text.end() - target * kHalf;
    }
  }
  if (live > kHalf - end) return Error(ENOSPC);
  bump();
  for (uint32_t i = 0; i < count(); i++) {
    if (entry(i).overlay.load(std::memory_order_relaxed) == 0) continue;
    for (std::atomic<uint64_t>* field : {&entry(i).lower, &entry(i).shown}) {
      const Text text = text_of(field->load(std::memory_order_relaxed));
      if (!is_sane(text) || text.in_half(target)) continue;
      const Text moved{target * kHalf + end, text.size};
      for (uint32_t k = 0; k < text.size; k++)
        store_byte(&state_.moved_strings[moved.offset + k], state_.moved_strings[text.offset + k]);
      end += text.size;
      field->store(field_of(moved), std::memory_order_release);
    }
  }
  set_used(target, end);
  return {};
}

Text Moved::append(Str head, Text tail) {
  const Text result{half() * kHalf + used(), static_cast<uint32_t>(head.size()) + tail.size};
  char* w = &state_.moved_strings[result.offset];
  for (char c : head) store_byte(w++, c);
  for (uint32_t i = 0; i < tail.size; i++) store_byte(w++, state_.moved_strings[tail.offset + i]);
  set_used(half(), used() + result.size);
  return result;
}

Result<void> Moved::publish(Str lower, Str shown) {
  uint32_t i = 0;
  while (i < count() && entry(i).overlay.load(std::memory_order_relaxed) != 0) i++;
  if (i == kMovedMax) return Error(ENOSPC);
  TRY(reserve(lower.size() + shown.size()));
  bump();  // the entry may have been another one a moment ago
  entry(i).lower.store(field_of(append(lower)), std::memory_order_relaxed);
  entry(i).shown.store(field_of(append(shown)), std::memory_order_relaxed);
  entry(i).overlay.store(owner_, std::memory_order_release);
  if (i == count()) state_.moved_count.store(i + 1, std::memory_order_release);
  return {};
}

void Moved::trim() {
  uint32_t n = count();
  while (n > 0 && entry(n - 1).overlay.load(std::memory_order_relaxed) == 0) n--;
  state_.moved_count.store(n, std::memory_order_release);
}

}  // namespace

Result<void> moved_add(Session& session, const Overlay& overlay, Str lower, Str shown) {
  Moved moved(session, overlay);
  TRY(moved.publish(lower, shown));
  // The new one first: a writer that is killed in between leaves one too many, and callers verify
  // what they are told.
  bool kept = false;
  for (uint32_t i = 0; i < moved.count(); i++) {
    Text rest;
    if (!moved.ours(i) || !moved.at_or_below(text_of(moved.entry(i).shown.load()), shown, &rest) ||
        rest.size != 0)
      continue;
    const Text dir = text_of(moved.entry(i).lower.load());
    const bool same = dir.size == lower.size() && moved.contains(dir, lower);
    if (same && !kept)
      kept = true;
    else
      moved.withdraw(i);
  }
  moved.trim();
  return {};
}

Result<void> moved_rename(Session& session, const Overlay& overlay, Str from, Str to) {
  if (from == to) return {};
  Moved moved(session, overlay);
  size_t bytes = 0;
  bool exactly = false;  // is `from` itself one?
  Text rest;
  for (uint32_t i = 0; i < moved.count(); i++) {
    if (!moved.ours(i) || !moved.at_or_below(text_of(moved.entry(i).shown.load()), from, &rest))
      continue;
    bytes += to.size() + rest.size;
    exactly |= rest.size == 0;
  }
  if (bytes == 0) return {};
  TRY(moved.reserve(bytes));
  // What was called `to` is gone, and it was empty.
  for (uint32_t i = 0; i < moved.count(); i++)
    if (moved.ours(i) && moved.at_or_below(text_of(moved.entry(i).shown.load()), to, &rest) &&
        (exactly || rest.size != 0))
      moved.withdraw(i);
  for (uint32_t i = 0; i < moved.count(); i++)
    if (moved.ours(i) && moved.at_or_below(text_of(moved.entry(i).shown.load()), from, &rest))
      moved.entry(i).shown.store(field_of(moved.append(to, rest)), std::memory_order_release);
  moved.trim();
  return {};
}

void moved_remove(Session& session, const Overlay& overlay, Str shown) {
  Moved moved(session, overlay);
  Text rest;
  for (uint32_t i = 0; i < moved.count(); i++)
    if (moved.ours(i) && moved.at_or_below(text_of(moved.entry(i).shown.load()), shown, &rest))
      moved.withdraw(i);
  moved.trim();
}

CStr moved_candidate(Session& session, const Overlay& overlay, Arena& arena, Str lower,
                     uint32_t* cursor) {
  Moved moved(session, overlay);
  while (*cursor < moved.count()) {
    const uint32_t i = (*cursor)++;
    for (int tries = 0; tries < kTries; tries++) {
      const uint32_t version = moved.version();
      const uint64_t lower_field = moved.entry(i).lower.load(std::memory_order_acquire);
      const uint64_t shown_field = moved.entry(i).shown.load(std::memory_order_acquire);
      const Text dir = text_of(lower_field), shown = text_of(shown_field);
      const bool match = moved.ours(i) && is_sane(shown) && moved.contains(dir, lower);
      CStr result;
      if (match) {
        const Str rest = lower.sub(dir.size);
        auto* text = static_cast<char*>(arena.alloc(shown.size + rest.size() + 1));
        if (text == nullptr) return CStr(nullptr, 0);
        char* w = moved.copy_to(text, shown);
        memcpy(w, rest.data(), rest.size());
        w[rest.size()] = 0;
        result = CStr(text, shown.size + rest.size());
      }
      if (moved.version_after_reads() != version ||
          moved.entry(i).lower.load(std::memory_order_relaxed) != lower_field ||
          moved.entry(i).shown.load(std::memory_order_relaxed) != shown_field)
        continue;
      if (match && moved.ours(i)) return result;
      break;
    }
  }
  return CStr(nullptr, 0);
}

}  // namespace ovl
