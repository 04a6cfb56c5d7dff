// Open files that processes share, and go on sharing when they follow their file
// (core/ops/follow.h): position, flags and locks are those of one open file.
//
// Problem: a descriptor is replaced while its task is stopped in a call, so those of several
// processes are replaced one after the other, and a process may end meanwhile.
//
// How: what took the old open file's place for the first one is held here, together with the old
// one, to be given to the others, for as long as a task of the session has the old one. That is
// also how long a lock of flock(2) lasts that was taken by one of them. Whether it is still so is
// asked before somebody tries to get such a lock, and from time to time, for those who wait for
// one.
//
// Alternatives: replacing it in all processes at once takes a tracer's stop of each; moving the
// position along from one to the other loses what moves meanwhile, and gives no common lock.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "core/caller/caller.h"
#include "core/session/session.h"
#include "launcher/supervisor/sharers.h"

namespace ovl {

class HeldFiles {
 public:
  // The state outlives this.
  explicit HeldFiles(SharedState& state);
  HeldFiles(const HeldFiles&) = delete;
  HeldFiles& operator=(const HeldFiles&) = delete;

  // As Caller::replace_open_file(). Thread-safe, one at a time. close_unneeded() has to follow: who
  // shares it is looked for once after several are replaced.
  Result<void> replace(int old, const StatX& copy, Caller::Replacement& by);
  void close_unneeded();
  // Else what is replaced for one is not shared with the others.
  bool has_room();

 private:
  struct State {
    off_t position;
    int flags;
  };
  struct Held {
    UniqueFd old, with;
    StatX copy;
    State was;  // of the old one, when it was looked at last
    Sharer needed_by;
  };

  Held* find(int old, const StatX& copy);
  void hold(int old, UniqueFd with, const StatX& copy, const State& begins);
  static State state_of(int fd);
  // Requires: mutex_.
  void close_those_unneeded();
  void start_watch();
  void watch();

  SharedState& state_;
  const pid_t front_;
  std::mutex mutex_;
  std::condition_variable some_held_;
  bool watched_ = false;
  std::vector<Held> held_;
};

}  // namespace ovl
