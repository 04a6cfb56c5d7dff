// See created.h.
#include "launcher/session/created.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "launcher/failure.h"

namespace ovl {
namespace {

constexpr int kRemovalsMost = 100;

}  // namespace

Created::~Created() {
  for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) ::remove(path->c_str());
}

void Created::make_dirs(const std::string& path, const char* what) {
  // Most times it is there, or nothing but its last name is missing.
  if (mkdir(path.c_str(), 0700) == 0) {
    add(path);
    return;
  }
  if (errno == EEXIST) return;
  size_t end = path.find('/', 1);
  for (int removals = 0;; end = path.find('/', end + 1)) {
    const std::string dir = path.substr(0, end);
    if (mkdir(dir.c_str(), 0700) == 0) {
      add(dir);
    } else if (errno == ENOENT && removals++ < kRemovalsMost) {
      end = 0;  // another start that failed took away what it had made: once more from the top
      continue;
    } else if (errno != EEXIST) {
      fail("{} {}: can't create it: {}", what, quote(path), error_text(errno));
    }
    if (end == std::string::npos) return;
  }
}

void Created::move_to(Created& other) {
  other.paths_.insert(other.paths_.end(), paths_.begin(), paths_.end());
  paths_.clear();
}

}  // namespace ovl
