// See followed_tasks.h.
#include "launcher/supervisor/followed_tasks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace ovl {

uint64_t FollowedTasks::of(pid_t tid) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto entry = entries_.find(tid);
  if (entry == entries_.end()) return 0;
  if (faccessat(entry->second.task.get(), "stat", F_OK, 0) == 0) return entry->second.count;
  entries_.erase(entry);
  return 0;
}

void FollowedTasks::set(pid_t tid, uint64_t count) {
  UniqueFd task(open(fmt::format("/proc/{}", tid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::lock_guard<std::mutex> lock(mutex_);
  entries_.erase(tid);
  if (!task.valid()) return;
  if (entries_.size() >= kMost) entries_.clear();
  entries_.emplace(tid, Entry{std::move(task), count});
}

}  // namespace ovl
