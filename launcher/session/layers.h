// The layers of a planned overlay, as the writer of segments wants them. In a session around, each
// directory that was given becomes the real ones that it is made of: an overlay over an overlay is
// one with all the lowers one after the other.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/session/builder.h"
#include "launcher/session/around.h"

namespace ovl {

// As programs of the session around (or, without one, all programs) name the directories.
struct GivenOverlay {
  std::string at;
  std::string upper, work;          // empty: none
  std::vector<std::string> lowers;  // topmost first
  XattrPrefix prefix;
  std::vector<std::string> data_lowers;  // those that give data alone
};

class OverlayLayers {
 public:
  // Throws Failure. `around` may be nullptr, and outlives this. `excludes`: the session's own. The
  // upper and the workdir exist.
  OverlayLayers(const GivenOverlay& given, const Around* around,
                const std::vector<std::string>& excludes);
  OverlayLayers(const OverlayLayers&) = delete;
  OverlayLayers& operator=(const OverlayLayers&) = delete;

  // Paths and layers of it; the rest is as by default. Good as long as this lives.
  OverlaySpec spec() const { return spec_; }
  // Does the upper lie in no overlay?
  bool upper_outside() const { return upper_outside_; }

 private:
  void add_upper(const Around& around);
  void add_lowers(const Around& around, const std::vector<std::string>& excludes);
  void add_data(const Around* around);
  void add_mounts(const Around& around, const std::string& lower, bool last,
                  const std::vector<std::string>& excludes);
  std::vector<LowerSpec> inherited(const Place& place);
  CStr keep(const std::string& text);

  GivenOverlay given_;
  std::deque<std::string> kept_;
  std::vector<LowerSpec> lowers_, data_;
  std::deque<std::vector<LowerSpec>> mount_lowers_;
  std::vector<MountSpec> mounts_;
  std::vector<CStr> given_lowers_;
  bool upper_outside_ = true;
  OverlaySpec spec_;
};

}  // namespace ovl
