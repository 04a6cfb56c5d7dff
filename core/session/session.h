// The session as a process sees it: attached once, never detached. Readers need no lock: the
// configuration never changes after the launcher published it.
#pragma once

#include <stdint.h>

#include "core/base/result.h"
#include "core/base/str.h"
#include "core/layer/layer.h"
#include "core/session/segment.h"

namespace ovl {

class Session {
 public:
  Session() {}  // NOLINT(modernize-use-equals-default): that could not leave the tables alone
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Maps the segment in the file `path` (absolute) and decodes it. EINVAL: not a segment; EPROTO:
  // another version. Costs open, lseek, mmap, close; twice that in an inner session.
  // Async-signal-safe; the caller sees to it that it runs once.
  Result<void> attach(CStr path);
  bool attached() const { return segment_ != nullptr; }

  Segment& segment() const { return *segment_; }
  SharedState& state() const { return *state_; }
  CStr path() const { return path_; }  // of the session file
  uint32_t overlay_count() const { return overlay_count_; }
  uint32_t index_of(const Layer& layer) const { return static_cast<uint32_t>(&layer - layers_); }
  const Overlay& overlay(uint32_t i) const { return overlays_[i]; }
  uint32_t exclude_count() const { return segment_->exclude_count; }
  CStr exclude(uint32_t i) const { return segment_->str(segment_->excludes[i]); }

  // How many sessions are around this one. What is said of overlays, excludes and views by level:
  // those of a level lie in what the levels below it show.
  uint32_t level() const { return level_; }

  // The overlay whose root is exactly this virtual path, or nullptr.
  const Overlay* rooted_at(Str virt) const;
  // Does the root of an overlay stand below this virtual path? Then it is a directory, and no
  // symlink, as long as the session lives: roots are canonical, and stay where they are as mounts
  // do.
  bool leads_to_overlay(Str virt) const;
  // The overlay that shows this normalised virtual path: of the innermost session that has one
  // there, the one with the longest path. nullptr: outside (what is excluded from all of them too).
  const Overlay* containing(Str virt) const { return containing(virt, level_); }
  // Likewise as the session of this level sees it.
  const Overlay* containing(Str virt, uint32_t level) const;
  // The overlay of this very level; nullptr: what lies there is the business of those below.
  const Overlay* containing_at(Str virt, uint32_t level) const;

  // What an inner overlay's upper, workdir and lowers are called in the session around it.
  CStr given_upper(const Overlay& overlay) const;
  CStr given_work(const Overlay& overlay) const;
  CStr given_lower(const Overlay& overlay, uint32_t i) const;  // i < overlay.given_count
  // Does another root stand at this virtual path inside an inner overlay? Then *out.
  bool mount_at(const Overlay& overlay, Str virt, Mount* out) const;

  // Does this real path belong to a layer, or to a workdir?
  bool in_some_layer(Str real) const;
  // The innermost overlay in whose upper (workdir) this real path is.
  const Overlay* upper_with(Str real) const;
  const Overlay* workdir_with(Str real) const;

  // Of writing to the overlay's upper.
  ErrorSequence& errors(const Overlay& overlay) const {
    return state_->errors[overlay.id % kErrorSequences];
  }
  // Something is about to be written to an upper.
  void note_change() const {
    if (shared_ && state_->changed.load(std::memory_order_relaxed) == 0)
      state_->changed.store(1, std::memory_order_relaxed);
  }

  // Is the segment shared with the others, or a private view for a program that may open nothing
  // for writing?
  bool shared() const { return shared_; }

  void count(Counter c, uint64_t n = 1) const {
    if (!shared_) return;
    segment_->counters[static_cast<size_t>(c)].fetch_add(n, std::memory_order_relaxed);
  }

 private:
  void decode(const Segment& segment);
  const Overlay* inner_rooted_at(Str virt) const;

  Segment* segment_ = nullptr;
  SharedState* state_ = nullptr;
  uint32_t overlay_count_ = 0;
  uint32_t level_ = 0;
  bool shared_ = true;
  CStr path_;
  // Room for the most that there can be; what is not needed is never touched: each page that is
  // costs every program below ovlrun at its start.
  union {
    Overlay overlays_[kMaxOverlays];
  };
  union {
    Layer layers_[kMaxLayers];
  };
  char path_bytes_[1024];
};

}  // namespace ovl
