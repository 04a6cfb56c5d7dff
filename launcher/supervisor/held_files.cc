// See held_files.h.
#include "launcher/supervisor/held_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "launcher/supervisor/identity.h"

namespace ovl {
namespace {

constexpr size_t kMost = 8192;
constexpr rlim_t kShareOfDescriptors = 4;  // one of so many, each of the two
constexpr auto kTick = std::chrono::milliseconds(50);
constexpr int kShareOfTime = 16;
constexpr Sharer kNobody = {0, -1};  // is known to need it
constexpr size_t kStack = 512 * 1024;
// What of an open file's flags can be set.
constexpr int kSettable = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;

size_t most_held() {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<size_t>(std::min<rlim_t>(kMost, limit.rlim_cur / kShareOfDescriptors));
}

}  // namespace

HeldFiles::State HeldFiles::state_of(int fd) {
  return {lseek(fd, 0, SEEK_CUR), fcntl(fd, F_GETFL) & kSettable};
}

HeldFiles::HeldFiles(SharedState& state) : state_(state), front_(getppid()) {}

Result<void> HeldFiles::replace(int old, const StatX& copy, Caller::Replacement& by) {
  const std::lock_guard lock(mutex_);
  if (const Held* held = find(old, copy)) return by.put(held->with.get());
  UniqueFd with = TRY(by.open());
  const State begins = state_of(with.get());  // nobody has it yet
  const Result<void> r = by.put(with.get());
  hold(old, std::move(with), copy, begins);
  return r;
}

void HeldFiles::close_unneeded() {
  const std::lock_guard lock(mutex_);
  close_those_unneeded();
}

bool HeldFiles::has_room() {
  const std::lock_guard lock(mutex_);
  return held_.size() < most_held();
}

// Who looked for stale descriptors, found none, and then read by the old open file, has moved that
// after it was replaced. So has a program without the preload, until its next call that is seen.
HeldFiles::Held* HeldFiles::find(int old, const StatX& copy) {
  const auto is_it = [&](const Held& held) {
    return same_inode(held.copy, copy) && is_same_open_file(held.old.get(), old);
  };
  const auto found = std::find_if(held_.begin(), held_.end(), is_it);
  if (found == held_.end()) return nullptr;
  const int with = found->with.get();
  const State is = state_of(old), was = found->was;
  if (is.position != was.position && state_of(with).position == was.position)
    lseek(with, is.position, SEEK_SET);
  const int changed = is.flags ^ was.flags;
  if (changed != 0) fcntl(with, F_SETFL, (fcntl(with, F_GETFL) & ~changed) | (is.flags & changed));
  found->was = is;
  return &*found;
}

void HeldFiles::hold(int old, UniqueFd with, const StatX& copy, const State& begins) {
  if (held_.size() >= most_held()) return;
  UniqueFd own(fcntl(old, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return;
  held_.push_back(Held{std::move(own), std::move(with), copy, begins, kNobody});
  state_.held_files.fetch_add(1);
}

void HeldFiles::close_those_unneeded() {
  std::vector<Sought> sought;
  std::vector<size_t> places;
  for (size_t i = 0; i < held_.size(); i++) {
    if (is_same_open_file(held_[i].needed_by, held_[i].old.get())) continue;
    sought.push_back({held_[i].old.get(), false, {}});
    places.push_back(i);
  }
  if (sought.empty()) return;
  const OwnIdentity own_identity;  // the watch's too
  find_sharers(front_, sought);
  for (size_t k = sought.size(); k-- > 0;) {
    if (sought[k].found) {
      held_[places[k]].needed_by = sought[k].by;
      continue;
    }
    held_.erase(held_.begin() + static_cast<ptrdiff_t>(places[k]));
    state_.held_files.fetch_sub(1);
  }
  if (!held_.empty()) start_watch();
  some_held_.notify_one();
}

// Where it can't be: those who wait for a lock do until somebody else tries to get one.
void HeldFiles::start_watch() {
  if (watched_) return;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const auto run = [](void* self) -> void* {
    static_cast<HeldFiles*>(self)->watch();
    return nullptr;
  };
  watched_ = pthread_create(&thread, &attributes, run, this) == 0;
  pthread_attr_destroy(&attributes);
}

void HeldFiles::watch() {
  using Clock = std::chrono::steady_clock;
  Clock::duration pause = kTick;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      some_held_.wait(lock, [&] { return !held_.empty(); });
    }
    std::this_thread::sleep_for(pause);
    const Clock::time_point begun = Clock::now();
    close_unneeded();
    pause = std::max<Clock::duration>(kTick, (Clock::now() - begun) * kShareOfTime);
  }
}

}  // namespace ovl
