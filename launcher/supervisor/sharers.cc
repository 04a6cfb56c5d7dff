// See sharers.h.
#include "launcher/supervisor/sharers.h"

#include <dirent.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>

#include "launcher/process_stat.h"

namespace ovl {
namespace {

// What kcmp(2) tells; negative: nothing.
enum Order : long { kEqual = 0, kLess = 1, kGreater = 2 };

Order compare(pid_t task, int fd, int own) {
  return static_cast<Order>(syscall(SYS_kcmp, task, getpid(), KCMP_FILE, fd, own));
}

// Calls `see` for each name that is a number, until it returns false.
template <class See>
void see_numbers(const std::string& directory, See see) {
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(directory.c_str()), closedir);
  if (list == nullptr) return;
  while (const dirent* entry = readdir(list.get())) {
    const char first = entry->d_name[0];
    if (first >= '0' && first <= '9' && !see(atoi(entry->d_name))) return;
  }
}

// Who is below ovlrun.
class Below {
 public:
  explicit Below(pid_t front) : supervisor_(getpid()), front_(front) {
    known_[supervisor_] = known_[front_] = true;
    known_[1] = known_[0] = false;
  }
  // Does it run programs? The keeper does not.
  bool is_task(pid_t process) {
    ProcessStat stat;
    return process != supervisor_ && process != front_ && read_process_stat(process, &stat) &&
           stat.parent != supervisor_ && is_below(stat.parent);
  }

 private:
  bool is_below(pid_t process) {
    std::vector<pid_t> path;
    bool below = false;
    ProcessStat stat;
    for (;;) {
      const auto known = known_.find(process);
      if (known != known_.end()) below = known->second;
      if (known != known_.end() || !read_process_stat(process, &stat)) break;
      path.push_back(process);
      process = stat.parent;
    }
    for (const pid_t one : path) known_[one] = below;
    return below;
  }

  const pid_t supervisor_, front_;
  std::unordered_map<pid_t, bool> known_;
};

class Search {
 public:
  explicit Search(std::vector<Sought>& all) : left_(all.size()) {
    for (Sought& one : all) {
      one.found = false;
      order_.push_back(&one);
    }
    const pid_t self = getpid();
    std::sort(order_.begin(), order_.end(), [self](const Sought* a, const Sought* b) {
      return compare(self, a->own, b->own) == kLess;
    });
  }
  bool is_done() const { return left_ == 0; }

  // All threads that have descriptors of their own.
  void look_at(pid_t process) {
    see_numbers(fmt::format("/proc/{}/task", process), [&](pid_t task) {
      if (task == process || syscall(SYS_kcmp, process, task, KCMP_FILES, 0, 0) != 0)
        look_at_task(task);
      return !is_done();
    });
  }

 private:
  void look_at_task(pid_t task) {
    see_numbers(fmt::format("/proc/{}/fd", task), [&](int fd) {
      look_at_descriptor(Sharer{task, fd});
      return !is_done();
    });
  }

  void look_at_descriptor(const Sharer& theirs) {
    size_t from = 0, to = order_.size();
    while (from < to) {
      const size_t middle = from + (to - from) / 2;
      Sought& one = *order_[middle];
      switch (compare(theirs.task, theirs.fd, one.own)) {
        case kEqual:
          if (!one.found) left_--;
          one.found = true;
          one.by = theirs;
          return;
        case kLess:
          to = middle;
          break;
        case kGreater:
          from = middle + 1;
          break;
        default:
          return;
      }
    }
  }

  std::vector<Sought*> order_;
  size_t left_;
};

}  // namespace

bool is_same_open_file(int a, int b) { return compare(getpid(), a, b) == kEqual; }

bool is_same_open_file(const Sharer& theirs, int own) {
  return compare(theirs.task, theirs.fd, own) == kEqual;
}

void find_sharers(pid_t front, std::vector<Sought>& all) {
  Below below(front);
  Search search(all);
  if (search.is_done()) return;
  see_numbers("/proc", [&](pid_t process) {
    if (below.is_task(process)) search.look_at(process);
    return !search.is_done();
  });
}

}  // namespace ovl
