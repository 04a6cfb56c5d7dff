// See name_watch.h.
#include "core/session/name_watch.h"

namespace ovl {

void NameWatch::begin() {
  const SharedState& state = session_.state();
  const uint64_t finished = state.names_finished.load(std::memory_order_seq_cst);
  started_ = state.names_started.load(std::memory_order_seq_cst);
  settled_ = started_ == finished && session_.shared();
}

bool NameWatch::held_still() const {
  return settled_ && session_.state().names_started.load(std::memory_order_seq_cst) == started_;
}

}  // namespace ovl
