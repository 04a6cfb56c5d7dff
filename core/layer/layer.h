// Layers and overlays of the session, decoded from the segment once per process.
#pragma once

#include <stdint.h>

#include "core/base/str.h"
#include "core/session/segment.h"

namespace ovl {

struct Layer {
  CStr root;         // real path
  uint64_t dev;      // st_dev (makedev form) of the root
  uint8_t fs_index;  // see LayerConfig
  bool has_format;   // look for overlay xattrs in it
  bool is_upper;
  XattrFormat format;
};

struct Overlay {
  uint32_t index;            // in the session
  uint32_t id;               // in all sessions that share a state
  CStr at;                   // virtual path of its root
  CStr upper;                // real path of the upper; empty: read-only view
  CStr work;                 // real path of the workdir
  const Layer* upper_layer;  // nullptr: none
  const Layer* lowers;       // topmost first
  uint32_t lower_count;
  uint64_t shown_dev;
  RedirectDir redirect_dir;
  bool metacopy;
  XattrFormat format;  // of what is written to the upper and the workdir
  Perm perm;
  bool can_whiteout_device;
};

}  // namespace ovl
