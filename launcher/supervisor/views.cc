// See views.h. The nearest keeper (or front) of an inner session among a task's ancestors decides.
// Keepers and fronts themselves are programs of the session around theirs.
#include "launcher/supervisor/views.h"

#include <string.h>

#include "launcher/process_stat.h"
#include "launcher/supervisor/task.h"

namespace ovl {
namespace {

// The inner session that this process keeps; nullptr: none.
const InnerView* kept_by(const SharedState& state, pid_t process) {
  const auto pid = static_cast<uint32_t>(process);
  for (const InnerView& view : state.views) {
    const uint32_t keeper = view.keeper.load(std::memory_order_acquire);
    if (keeper == 0 || keeper == kViewTaken) continue;
    const bool is_keeper = keeper == pid, is_front = view.front == pid;
    if (!is_keeper && !is_front) continue;
    if (start_time_of(process) == (is_keeper ? view.keeper_start : view.front_start)) return &view;
  }
  return nullptr;
}

pid_t process_of(pid_t tid) {
  const Result<TaskStatus> status = read_status(tid);
  return status.ok() ? status.value().tgid : tid;
}

}  // namespace

uint64_t Views::serial_of(pid_t tid) const {
  const SharedState& state = outermost_.state();
  pid_t process = process_of(tid);
  ProcessStat stat;
  if (const InnerView* own = kept_by(state, process)) {
    // What launched that session: on from above its front.
    const auto front = static_cast<pid_t>(own->front);
    if (start_time_of(front) == own->front_start) process = front;
  }
  while (process > 1 && read_process_stat(process, &stat)) {
    process = stat.parent;
    if (const InnerView* view = kept_by(state, process)) return view->serial;
  }
  return 0;
}

std::shared_ptr<Session> Views::session_of(uint64_t serial) {
  if (serial == 0) return outermost();
  std::shared_ptr<Session>& session = sessions_[serial];
  if (session != nullptr) return session;
  for (const InnerView& view : outermost_.state().views) {
    if (view.serial != serial) continue;
    const CStr file(view.file, strnlen(view.file, sizeof view.file - 1));
    auto joined = std::make_shared<Session>();
    if (joined->attach(file).ok()) session = std::move(joined);
  }
  return session;
}

std::shared_ptr<Session> Views::find(pid_t tid) {
  ProcessStat stat;
  const uint64_t version = outermost_.state().view_serial.load(std::memory_order_acquire);
  if (!read_process_stat(tid, &stat)) return outermost();  // gone: nobody gets the answer
  const std::lock_guard lock(mutex_);
  if (version != version_) {
    tasks_.clear();
    sessions_.clear();  // those in use live on
    version_ = version;
  }
  const auto known = tasks_.find(tid);
  if (known != tasks_.end() && known->second.start == stat.start)
    return session_of(known->second.serial);
  const uint64_t serial = serial_of(tid);
  tasks_[tid] = Known{stat.start, serial};
  return session_of(serial);
}

}  // namespace ovl
