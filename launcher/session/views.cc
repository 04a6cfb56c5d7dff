// See views.h.
#include "launcher/session/views.h"

#include <string.h>
#include <unistd.h>

#include "core/session/lock.h"
#include "core/session/moved.h"
#include "launcher/failure.h"
#include "launcher/process_stat.h"

namespace ovl {
namespace {

bool lives(uint32_t pid, uint64_t start) {
  return start != 0 && start_time_of(static_cast<pid_t>(pid)) == start;
}

// What a session that nobody keeps any more has left.
void forget_moved(Session& session, const InnerView& view) {
  Mutation mutation(session, Mutation::Topology::kExclusive);
  for (uint32_t i = 0; i < view.overlay_count; i++) {
    Overlay overlay{};
    overlay.id = view.first_overlay + i;
    moved_remove(session, overlay, "");
  }
}

// A free place, or that of a session whose keeper and front were killed; it is ours then.
InnerView* take_place(Session& session) {
  SharedState& state = session.state();
  for (InnerView& view : state.views) {
    uint32_t seen = 0;
    if (view.keeper.compare_exchange_strong(seen, kViewTaken)) return &view;
    if (seen == kViewTaken || lives(seen, view.keeper_start) || lives(view.front, view.front_start))
      continue;
    if (!view.keeper.compare_exchange_strong(seen, kViewTaken)) continue;
    state.view_count.fetch_sub(1);
    forget_moved(session, view);
    return &view;
  }
  return nullptr;
}

}  // namespace

void register_view(Session& session, pid_t front, uint32_t own_overlays) {
  SharedState& state = session.state();
  InnerView* view = take_place(session);
  if (view == nullptr) fail("more than {} ovlruns inside one", kMaxViews);
  view->front = static_cast<uint32_t>(front);
  view->front_start = start_time_of(front);
  view->keeper_start = start_time_of(getpid());
  view->serial = 1 + state.view_serial.fetch_add(1);
  view->first_overlay = session.overlay(session.overlay_count() - own_overlays).id;
  view->overlay_count = own_overlays;
  memcpy(view->file, session.path().c_str(), session.path().size() + 1);
  view->keeper.store(static_cast<uint32_t>(getpid()), std::memory_order_release);
  state.view_count.fetch_add(1);
}

void unregister_view(const Session& session) {
  SharedState& state = session.state();
  for (InnerView& view : state.views) {
    auto keeper = static_cast<uint32_t>(getpid());
    if (!view.keeper.compare_exchange_strong(keeper, 0)) continue;
    state.view_count.fetch_sub(1);
    state.view_serial.fetch_add(1);
    return;
  }
}

}  // namespace ovl
