// What a start has created, so that a failure leaves nothing behind.
#pragma once

#include <string>
#include <vector>

namespace ovl {

class Created {
 public:
  Created() = default;
  Created(const Created&) = delete;
  Created& operator=(const Created&) = delete;
  // Removes it all, the last first; directories only when they are empty. Requires: what others may
  // have found meanwhile is locked by us.
  ~Created();
  // mkdir -p; remembers what it made. Throws Failure.
  void make_dirs(const std::string& path, const char* what);
  void add(const std::string& path) { paths_.push_back(path); }
  void keep() { paths_.clear(); }
  void move_to(Created& other);

 private:
  std::vector<std::string> paths_;  // in the order of creation
};

}  // namespace ovl
