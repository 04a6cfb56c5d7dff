// Errors of writing back that nobody is waiting for: who sets one knows no reader, and readers ask
// whether there was one since they last asked. One word holds it all, and is changed by
// compare-and-swap alone, so that a writer that is killed leaves nothing half done. Modelled on the
// kernel's errseq_t (lib/errseq.c), with its one flag as two, as in the discussion of 2020 on
// linux-fsdevel ("errseq: split the ERRSEQ_SEEN flag into two new flags"):
//
//   errno            the last error; 0: there was none
//   *seen*           somebody was told of it: who comes later is not
//   *must increment* somebody holds this value: the next error has to look different, even if it is
//                    the same errno
//   counter          how often that was so
//
// The kernel's flag means both, so that nobody can remember a value without taking the error from
// those who come later. peek() can.
//
// With 50 bits the counter never comes round to a value that somebody still holds (errseq_t has
// 19).
#pragma once

#include <stdint.h>

#include <atomic>

namespace ovl {

// `Word` is a std::atomic<uint64_t>, or a test's.
template <class Word>
class BasicErrorSequence {
 public:
  // What a reader keeps between two questions.
  using Sample = uint64_t;

  // An error has happened. error: a positive errno. Kernel counterpart: errseq_set().
  void set(int error) {
    change([error](uint64_t old) {
      const uint64_t counter = old & ~(kErrno | kFlags);
      const uint64_t next = (old & kMustIncrement) != 0 ? counter + kOne : counter;
      return next | static_cast<uint64_t>(error);
    });
  }

  // For a reader that begins. It will be told of what happens from now on, and of an error that
  // nobody has been told of yet. Kernel counterpart: errseq_sample().
  Sample sample() {
    const uint64_t now = word_.load(std::memory_order_seq_cst);
    // (Seen is never without must-increment.)
    return (now & kSeen) != 0 ? now : kBeforeAll;
  }

  // For a reader that begins and wants to know of what happens from now on alone. It takes the
  // error from nobody.
  Sample peek() {
    return change([](uint64_t old) { return old | kMustIncrement; });
  }

  // The error since then; 0: none. Kernel counterpart: errseq_check().
  int check(Sample since) const {
    const uint64_t now = word_.load(std::memory_order_seq_cst);
    return same(now, since) ? 0 : error_of(now);
  }

  // Likewise, and tells it to this reader once: *since is then the present. A lost race against
  // another reader's flag is run again, or the error would go unmarked, and a later reader be told
  // again. Kernel counterpart: errseq_check_and_advance().
  int check_and_advance(Sample* since) {
    if (same(word_.load(std::memory_order_seq_cst), *since)) return 0;
    *since = change([](uint64_t old) { return old | kFlags; });
    return error_of(*since);
  }

  // The last error if nobody was told of it; 0: none.
  int unseen() const {
    const uint64_t now = word_.load(std::memory_order_seq_cst);
    return (now & kSeen) != 0 ? 0 : error_of(now);
  }

  static constexpr Sample kBeforeAll = 0;

 private:
  static constexpr uint64_t kErrno = 4095;  // the kernel's MAX_ERRNO
  static constexpr uint64_t kSeen = 4096;
  static constexpr uint64_t kMustIncrement = 8192;
  static constexpr uint64_t kFlags = kSeen | kMustIncrement;
  static constexpr uint64_t kOne = 16384;  // of the counter

  static bool same(uint64_t a, uint64_t b) { return ((a ^ b) & ~kFlags) == 0; }
  static int error_of(uint64_t value) { return static_cast<int>(value & kErrno); }

  // next(old) takes the place of old, in one step. Returns what the word then is.
  template <class Next>
  uint64_t change(Next next) {
    uint64_t old = word_.load(std::memory_order_seq_cst);
    for (;;) {
      const uint64_t wanted = next(old);
      if (wanted == old || word_.compare_exchange_strong(old, wanted, std::memory_order_seq_cst))
        return wanted;
    }
  }

  Word word_{0};
};

using ErrorSequence = BasicErrorSequence<std::atomic<uint64_t>>;

}  // namespace ovl
