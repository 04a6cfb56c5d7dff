// See sharers.h.
#include "launcher/supervisor/sharers.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/base/unique_fd.h"

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

// What a list of children leaves out, it does since one of them has ended meanwhile; and children
// of those that end come to the keeper, whose list may have been read. Both hardly come twice in
// turn.
constexpr int kPasses = 2;

void add_children(pid_t process, std::vector<pid_t>& out) {
  see_numbers(fmt::format("/proc/{}/task", process), [&](pid_t task) {
    const UniqueFd list(open(fmt::format("/proc/{}/task/{}/children", process, task).c_str(),
                             O_RDONLY | O_CLOEXEC));
    char text[4096];
    pid_t child = 0;
    for (ssize_t n; (n = read(list.get(), text, sizeof text)) > 0;) {
      for (ssize_t i = 0; i < n; i++) {
        if (text[i] != ' ') {
          child = child * 10 + (text[i] - '0');
          continue;
        }
        out.push_back(child);
        child = 0;
      }
    }
    return true;
  });
}

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
          if (!one.found) note(middle, theirs);
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

  // One open file may be sought several times: it has a copy per session.
  void note(size_t place, const Sharer& by) {
    const auto is_it = [&](size_t i) {
      return is_same_open_file(order_[i]->own, order_[place]->own);
    };
    size_t first = place;
    while (first > 0 && is_it(first - 1)) first--;
    for (size_t i = first; i < order_.size() && is_it(i); i++) {
      order_[i]->found = true;
      order_[i]->by = by;
      left_--;
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
  Search search(all);
  for (int pass = 0; pass < kPasses && !search.is_done(); pass++) {
    // The supervisor's child is the keeper; the front's, those that have lost theirs.
    std::vector<pid_t> left, supervisor_and_orphans;
    add_children(getpid(), left);
    for (const pid_t keeper : std::exchange(left, {})) add_children(keeper, left);
    add_children(front, supervisor_and_orphans);
    for (const pid_t one : supervisor_and_orphans)
      if (one != getpid()) left.push_back(one);
    while (!left.empty() && !search.is_done()) {
      const pid_t process = left.back();
      left.pop_back();
      search.look_at(process);  // before: what it forks meanwhile has what it has
      add_children(process, left);
    }
  }
}

}  // namespace ovl
