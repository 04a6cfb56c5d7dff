// See view.h.
#include "launcher/upper/view.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/session/builder.h"
#include "core/walk/lookup.h"
#include "launcher/session/layers.h"

namespace ovl {

View::View(const UpperSource& source, bool with_upper, Index index)
    : at_(source.at), session_(std::make_unique<Session>()) {
  const std::shared_ptr<Around> around = Around::find();
  const OverlayLayers layers({source.at, with_upper ? source.upper : "", source.work, source.lowers,
                              source.prefix, source.data_lowers},
                             around.get(),
                             around != nullptr ? around->closed() : std::vector<std::string>());
  OverlaySpec overlay = layers.spec();
  overlay.redirect_dir = RedirectDir::kFollow;
  overlay.metacopy = false;
  overlay.index = index == Index::kFollowed;
  SessionSpec spec;
  if (around != nullptr) spec.around = &around->session();
  spec.overlays = &overlay;
  spec.overlay_count = 1;
  // Memory, where there is some: on a disk it would cost as much again as a small upper. And of a
  // session around this one nothing is to change.
  const bool memory = around != nullptr || access("/dev/shm", W_OK | X_OK) == 0;
  std::string dir = memory ? "/dev/shm/ovlrun-view-XXXXXX" : "/tmp/ovlrun-view-XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) fail("{}: {}", dir, error_text(errno));
  const std::string file = dir + "/session";
  Result<void> done = write_segment(view(file), spec);
  if (done.ok()) done = session_->attach(view(file));
  unlink(file.c_str());
  rmdir(dir.c_str());
  if (!done.ok()) fail("{}: {}", quote(source.upper), error_text(done.error()));
}

std::string View::shown(const std::string& rel) const {
  if (rel.empty()) return at_;
  return (at_ == "/" ? "" : at_) + rel;
}

const Node& View::node(Op& op, const std::string& rel) {
  return *value_of(node_at(op, view(shown(rel))), shown(rel));
}

}  // namespace ovl
