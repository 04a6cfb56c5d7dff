// See held.h.
#include "launcher/upper/held.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/failure.h"
#include "launcher/session/around.h"
#include "launcher/session/existing.h"
#include "launcher/session/plan.h"

namespace ovl {

NamedUpper named_upper(const std::string& command, const std::optional<std::string>& upper,
                       const std::optional<std::string>& work) {
  if (!upper) fail("{}: no --upper DIR (see ovlrun {} --help)", command, command);
  if (Around::find() != nullptr) fail("{}: is not possible below another ovlrun", command);
  struct stat st;
  if (stat(upper->c_str(), &st) != 0) fail("--upper {}: {}", quote(*upper), error_text(errno));
  if (!S_ISDIR(st.st_mode)) fail("--upper {}: {}", quote(*upper), error_text(ENOTDIR));
  NamedUpper named;
  named.command = command;
  named.upper = canonical(*upper);
  if (work && stat(work->c_str(), &st) != 0) fail("--work {}: {}", quote(*work), error_text(errno));
  named.work = work ? canonical(*work) : default_work(named.upper);
  if (stat(named.work.c_str(), &st) == 0 && !S_ISDIR(st.st_mode))
    fail("--work {}: {}", quote(named.work), error_text(ENOTDIR));
  named.recorded = read_config(named.work);
  return named;
}

HeldUpper::HeldUpper(const NamedUpper& named, XattrPrefix prefix) {
  if (access(named.upper.c_str(), R_OK | W_OK | X_OK) != 0)
    fail("--upper {}: {}", quote(named.upper), error_text(errno));
  check_existing(named.upper, named.work, prefix);
  lock_.emplace(named.upper, named.work, created_);
}

}  // namespace ovl
