// Which tasks' descriptors have followed their files, up to which count of stale ones
// (core/ops/follow.h). Numbers of tasks are used again: each entry holds on to its task in /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "core/base/unique_fd.h"

namespace ovl {

class FollowedTasks {
 public:
  uint64_t of(pid_t tid);  // 0: not known
  void set(pid_t tid, uint64_t count);

 private:
  // More are forgotten, which costs a look.
  static constexpr size_t kMost = 64;
  struct Entry {
    UniqueFd task;  // its directory in /proc
    uint64_t count;
  };
  std::mutex mutex_;
  std::unordered_map<pid_t, Entry> entries_;
};

}  // namespace ovl
