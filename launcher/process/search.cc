// See search.h.
#include "launcher/process/search.h"

#include <errno.h>
#include <stdlib.h>

#include "launcher/failure.h"

namespace ovl {

int search_path(const std::string& command, const std::function<int(const std::string&)>& attempt) {
  if (command.empty()) return ENOENT;
  if (command.find('/') != std::string::npos) return attempt(command);
  const char* variable = getenv("PATH");
  const std::string path = variable != nullptr ? variable : "/bin:/usr/bin";
  bool denied = false;
  for (size_t from = 0;;) {
    const size_t end = path.find(':', from);
    const std::string dir = path.substr(from, end == std::string::npos ? end : end - from);
    const int code = attempt(dir.empty() ? command : dir + "/" + command);
    if (code == EACCES)
      denied = true;
    else if (code != ENOENT && code != ENOTDIR && code != ESTALE && code != ENODEV &&
             code != ETIMEDOUT)
      return code;
    if (end == std::string::npos) return denied ? EACCES : ENOENT;
    from = end + 1;
  }
}

int exec_status(int code) {
  return code == ENOENT || code == ENOTDIR ? kExitNotFound : kExitNotExecutable;
}

}  // namespace ovl
