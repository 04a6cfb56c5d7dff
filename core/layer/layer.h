// Layers and overlays of the session, decoded from the segment once per process.
#pragma once

#include <stdint.h>

#include "core/base/str.h"
#include "core/session/segment.h"

namespace ovl {

struct Overlay;

struct Layer {
  CStr root;         // real path
  uint64_t dev;      // st_dev (makedev form) of the root
  uint8_t fs_index;  // see LayerConfig
  bool has_format;   // look for overlay xattrs in it
  bool is_upper;
  XattrFormat format;
  const Layer* source;    // the layer that this is a directory of: itself, but in inner sessions
  const Overlay* writer;  // whose layer the source is: absolute redirects start at its lowers
  bool indexed;           // hard links of this lower stay linked
  bool is_erofs;          // see LayerConfig
  const uint8_t* uuid;    // 16 bytes: of the root's file system, as it stands in origins
  bool data_only;  // no name in it is seen: metacopies of the writer's lowers have data there
};

// See MountConfig.
struct Mount {
  const Layer* lowers;  // topmost first
  uint32_t lower_count;
};

struct Overlay {
  uint32_t index;            // in the session
  uint32_t id;               // in all sessions that share a state
  CStr at;                   // virtual path of its root
  CStr upper;                // real path of the upper; empty: read-only view
  CStr work;                 // real path of the workdir
  const Layer* upper_layer;  // nullptr: none
  const Layer* lowers;       // topmost first; behind them stand those that give data alone
  uint32_t lower_count;
  uint32_t data_count;
  uint64_t shown_dev;
  RedirectDir redirect_dir;
  bool metacopy;
  XattrFormat format;  // of what is written to the upper and the workdir
  Perm perm;
  bool can_whiteout_device;
  bool has_index;          // hard links of lowers stay linked, where their layer can
  bool has_beside;         // what symlinks and special files can't carry stands beside the upper
  bool is_volatile;        // nothing is written out for the programs' sake
  uint64_t errors_before;  // its error sequence (Session::errors) as it began

  // Only of inner sessions (OverlayConfig says more).
  uint32_t level;
  uint32_t lowers_most;  // objects that can lie below one name: more than layers, with redirects
  uint32_t given_count;
  uint32_t mount_count;
};

}  // namespace ovl
