// See leftovers.h.
#include "launcher/session/leftovers.h"

#include <filesystem>

#include "core/copy_up/marks.h"
#include "launcher/failure.h"

namespace fs = std::filesystem;

namespace ovl {

void remove_leftovers(const std::string& work) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(work + "/work", error)) {
    const std::string name = entry.path().filename();
    if (name[0] != '#' || name == kSharedWhiteout) continue;
    fs::remove_all(entry.path(), error);
    if (error) fail("{}: {}", quote(entry.path().string()), error.message());
  }
}

}  // namespace ovl
