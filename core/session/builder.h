// Writes a session's segment file from what the user asked for. For the launcher and for tests;
// programs below ovlrun only attach.
#pragma once

#include <stdint.h>

#include "core/base/result.h"
#include "core/base/str.h"
#include "core/session/session.h"

namespace ovl {

// A lower layer. In an inner session (SessionSpec::around) it may be a directory of a layer there.
struct LowerSpec {
  CStr root;
  XattrFormat format;
  const Layer* of = nullptr;  // in `around`; nullptr: of none
  bool has_format = false;    // it is known to have marks or records, if its root has none itself
};

// MountConfig.
struct MountSpec {
  CStr at;
  const LowerSpec* lowers = nullptr;
  uint32_t lower_count = 0;
};

// All paths canonical, absolute, existing.
struct OverlaySpec {
  CStr at;
  CStr upper;                         // empty: read-only view
  CStr work;                          // empty when there is no upper
  const LowerSpec* lowers = nullptr;  // topmost first
  uint32_t lower_count = 0;
  const LowerSpec* data = nullptr;  // those that give data alone
  uint32_t data_count = 0;
  RedirectDir redirect_dir = RedirectDir::kOn;
  bool metacopy = true;
  XattrFormat format;  // of the upper
  Perm perm = Perm::kOwner;
  bool can_whiteout_device = true;
  bool index = true;         // hard links of lowers stay linked; not in an inner session
  bool is_volatile = false;  // nothing is written out for the programs' sake

  // Only in an inner session.
  CStr given_upper;  // what the session around calls the upper, the workdir
  CStr given_work;
  const CStr* given = nullptr;  // and the lowers
  uint32_t given_count = 0;
  uint64_t shown_dev = 0;  // st_dev of the whole overlay; 0: that of the topmost lower
  const MountSpec* mounts = nullptr;
  uint32_t mount_count = 0;
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
  bool supervised = false;
  bool strict = false;
  bool preload = true;
  // The session around this one: its overlays and excludes are here too, in front of the own ones.
  const Session* around = nullptr;
};

// Creates the file (mode 0600, replacing one that is there) and fills it. Looks at the layer roots
// for their file system and for overlay xattrs. Errors: E2BIG (too many overlays, layers,
// mounts or excludes, or sessions inside one another), what the file systems say.
Result<void> write_segment(CStr path, const SessionSpec& spec);

}  // namespace ovl
