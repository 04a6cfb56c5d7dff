// Writes a session's segment file from what the user asked for. For the launcher and for tests;
// programs below ovlrun only attach.
#pragma once

#include <stdint.h>

#include "core/base/result.h"
#include "core/base/str.h"
#include "core/session/segment.h"

namespace ovl {

// A lower layer.
struct LowerSpec {
  CStr root;
  XattrFormat format;
};

// All paths canonical, absolute, existing.
struct OverlaySpec {
  CStr at;
  CStr upper;                         // empty: read-only view
  CStr work;                          // empty when there is no upper
  const LowerSpec* lowers = nullptr;  // topmost first
  uint32_t lower_count = 0;
  RedirectDir redirect_dir = RedirectDir::kOn;
  bool metacopy = true;
  XattrFormat format;  // of the upper
  Perm perm = Perm::kOwner;
  bool can_whiteout_device = true;
  uint32_t id = 0;  // 0: the session is the outermost, and has its own numbers
};

struct SessionSpec {
  const OverlaySpec* overlays = nullptr;
  uint32_t overlay_count = 0;
  const CStr* excludes = nullptr;
  uint32_t exclude_count = 0;
  CStr preload_path;
  CStr trace_path;  // empty: no trace
  bool allow_uncovered = false;
  bool count_ops = false;  // for --stats
  CStr outermost;          // of an inner session: the file with the shared state, and where it is
  uint64_t state_offset = 0;
  bool supervised = false;
  bool preload = true;
};

// Creates the file (mode 0600, replacing one that is there) and fills it. Looks at the layer roots
// for their file system and for overlay xattrs. Errors: E2BIG (too many overlays, layers or
// excludes), what the file systems say.
Result<void> write_segment(CStr path, const SessionSpec& spec);

}  // namespace ovl
