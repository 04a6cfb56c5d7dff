// Which session a task is in. Without inner sessions that costs one load from memory.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <mutex>

#include "core/session/session.h"

namespace ovl {

class Views {
 public:
  // The session is attached and outlives this.
  explicit Views(Session& outermost) : outermost_(outermost) {}

  // Thread-safe. nullptr: the task is in a session that can't be joined.
  std::shared_ptr<Session> of(pid_t tid) {
    if (outermost_.state().view_count.load(std::memory_order_acquire) == 0) return outermost();
    return find(tid);
  }

 private:
  struct Known {
    uint64_t start;  // of the task
    uint64_t serial;
  };

  std::shared_ptr<Session> outermost() {
    return std::shared_ptr<Session>(std::shared_ptr<Session>(), &outermost_);  // owned by nobody
  }
  std::shared_ptr<Session> find(pid_t tid);
  uint64_t serial_of(pid_t tid) const;
  std::shared_ptr<Session> session_of(uint64_t serial);

  Session& outermost_;
  std::mutex mutex_;
  uint64_t version_ = 0;  // of the list, when tasks_ and sessions_ were true
  std::map<pid_t, Known> tasks_;
  std::map<uint64_t, std::shared_ptr<Session>> sessions_;
};

}  // namespace ovl
