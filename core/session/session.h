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
  // Maps the segment in the file `path` (absolute) and decodes it. EINVAL: not a segment; EPROTO:
  // another version. Costs open, fstat, mmap, close; twice that in an inner session.
  // Async-signal-safe; the caller sees to it that it runs once.
  Result<void> attach(CStr path);
  bool attached() const { return segment_ != nullptr; }

  Segment& segment() const { return *segment_; }
  SharedState& state() const { return *state_; }
  CStr path() const { return path_; }  // of the session file
  uint32_t overlay_count() const { return overlay_count_; }
  const Overlay& overlay(uint32_t i) const { return overlays_[i]; }
  uint32_t exclude_count() const { return segment_->exclude_count; }
  CStr exclude(uint32_t i) const { return segment_->str(segment_->excludes[i]); }

  // The overlay whose root is exactly this virtual path, or nullptr.
  const Overlay* rooted_at(Str virt) const;
  // Is this virtual path (or one above it) excluded, below the overlay that holds it?
  bool excluded(Str virt) const;
  // The innermost overlay that shows this normalised virtual path; nullptr: outside (excluded ones
  // too).
  const Overlay* containing(Str virt) const;

  // Is the segment shared with the others, or a private view for a program that may open nothing
  // for writing?
  bool shared() const { return shared_; }

  void count(Counter c, uint64_t n = 1) const {
    if (!shared_) return;
    segment_->counters[static_cast<size_t>(c)].fetch_add(n, std::memory_order_relaxed);
  }

 private:
  void decode(const Segment& segment);

  Segment* segment_ = nullptr;
  SharedState* state_ = nullptr;
  uint32_t overlay_count_ = 0;
  bool shared_ = true;
  CStr path_;
  char path_bytes_[1024];
  Overlay overlays_[kMaxOverlays];
  Layer layers_[kMaxLayers];
};

}  // namespace ovl
