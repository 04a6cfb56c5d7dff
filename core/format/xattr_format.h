// How names of xattrs stand on disk in one layer. An overlay escapes the names that programs use
// below its prefix: "user.overlay.foo" becomes "user.overlay.overlay.foo". So what an overlay
// inside another one writes, its own marks included, is escaped once for each overlay around it
// that has the same prefix, and can't be taken for marks of those.
// Kernel counterpart: ovl_xattr_escape_name() of a mount that lies on a mount.
#pragma once

#include <stdint.h>

namespace ovl {

enum class XattrPrefix : uint8_t { kUser, kTrusted };
constexpr uint32_t kXattrPrefixes = 2;

// Overlays that lie inside one another, at most.
constexpr uint32_t kMaxNesting = 8;

struct XattrFormat {
  XattrPrefix prefix = XattrPrefix::kUser;  // of the marks that are read and written in the layer
  uint8_t depth = 0;                        // how often their names are escaped
  // By prefix: how often the names that programs see are. (Those escaped less often are hidden.)
  uint8_t escapes[kXattrPrefixes] = {1, 0};

  constexpr XattrFormat() = default;
  // Of a layer of an overlay that lies in no other. NOLINTNEXTLINE(google-explicit-constructor)
  constexpr XattrFormat(XattrPrefix own) : prefix(own) {
    escapes[0] = own == XattrPrefix::kUser ? 1 : 0;
    escapes[1] = own == XattrPrefix::kTrusted ? 1 : 0;
  }

  uint8_t escapes_of(XattrPrefix which) const { return escapes[static_cast<uint32_t>(which)]; }

  // The same layer seen through one more overlay: its marks stay what they are.
  XattrFormat seen_through(XattrPrefix outer) const {
    XattrFormat result = *this;
    result.escapes[static_cast<uint32_t>(outer)]++;
    return result;
  }
  // Of a layer that another overlay has inside this one: its marks are names of a program here.
  XattrFormat of_layer_inside(XattrPrefix own) const {
    XattrFormat result = seen_through(own);
    result.prefix = own;
    result.depth = escapes_of(own);
    return result;
  }
};

}  // namespace ovl
