// Has any name been changed, or what is recorded of what it names, since a moment? Then what was
// put together by a name from several looks may be of two objects. Two loads from memory; who is
// told that nothing held still asks the file system. Kernel counterpart: d_seq, rename_lock.
#pragma once

#include "core/session/session.h"

namespace ovl {

// Begins with its construction.
class NameWatch {
 public:
  explicit NameWatch(const Session& session) : session_(session) { begin(); }
  void begin();
  // False also while a change that began before was still being made, for good where its maker was
  // killed, and in a session that only this process sees.
  bool held_still() const;

 private:
  const Session& session_;
  uint64_t started_ = 0;
  bool settled_ = false;
};

// Around such a change: every Mutation that locks something, and every Completion.
inline void begin_name_change(SharedState& state) {
  state.names_started.fetch_add(1, std::memory_order_seq_cst);
}
inline void end_name_change(SharedState& state) {
  state.names_finished.fetch_add(1, std::memory_order_seq_cst);
}

}  // namespace ovl
