// Names in a real directory. Through the core: libc's calls would be a program's in the session
// around an inner launcher, where a layer's directory is part of what it is merged into.
#pragma once

#include <string>
#include <vector>

namespace ovl {

struct RealEntry {
  std::string name;
  bool is_dir;
};
// Without "." and "..". Throws Failure.
std::vector<RealEntry> real_entries(const std::string& dir);

}  // namespace ovl
