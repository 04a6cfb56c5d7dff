// See existing.h.
#include "launcher/session/existing.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "core/format/format.h"
#include "launcher/failure.h"
#include "launcher/session/ending.h"
#include "launcher/session/plan.h"
#include "launcher/session/volatile_mark.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

std::vector<std::string> names_in(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir, error))
    names.push_back(entry.path().filename());
  return names;
}

// The kernel leaves "<work>/work" with mode 000; then nothing is known about what is inside until
// we may look.
void check_work(const std::string& upper, const std::string& work) {
  for (const std::string& name : names_in(work))
    if (name != "work" && name != "index" && name != "ovlrun")
      fail("--work {}: holds {}, which is not ovlrun's: give an empty directory", quote(work),
           quote(name));
  for (const std::string& name : names_in(work + "/work"))
    if (name[0] != '#' && name != "incompat")
      fail("--work {}: holds {}, which is not ovlrun's: give an empty directory", quote(work),
           quote("work/" + name));
  for (const std::string& name : names_in(work + "/work/incompat"))
    if (name != kIncompatName && name != kVolatileName)
      fail("--upper {}: was used with {}, which this version does not know ({})", quote(upper),
           quote(name), quote(work + "/work/incompat/" + name));
}

// Private xattrs on the upper's root that are not in format's table are from somebody who knows
// more.
void check_xattrs(const std::string& upper, XattrPrefix prefix) {
  const ssize_t size = llistxattr(upper.c_str(), nullptr, 0);
  if (size <= 0) return;
  std::string list(static_cast<size_t>(size) + 1024, 0);
  const ssize_t got = llistxattr(upper.c_str(), list.data(), list.size());
  if (got <= 0) return;
  const std::string opaque = priv_name(prefix, Priv::kOpaque);
  const std::string start = opaque.substr(0, opaque.rfind('.') + 1);
  for (const char* name = list.data(); name < list.data() + got; name += strlen(name) + 1) {
    const std::string text = name;
    if (!text.starts_with(start) || text.find('.', start.size()) != std::string::npos) continue;
    if (parse_xattr_list(prefix, name, text.size() + 1).empty())
      fail("--upper {}: has {}, a format from a newer version", quote(upper), text);
  }
}

}  // namespace

bool is_marked_unportable(const std::string& work) {
  std::error_code error;
  return fs::exists(work + "/work/incompat/" + kIncompatName, error);
}

bool has_index(const std::string& work) { return !names_in(work + "/index").empty(); }

bool is_index_name(const std::string& entry) {
  return entry.size() % 2 == 0 && entry.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void check_readable(const std::string& upper, const std::string& work) {
  const std::string holder = lasting_holder(upper, work);
  if (!holder.empty()) fail("--upper {}: is in use by {}", quote(upper), holder);
  std::ifstream format(session_dir(work) + "/format");
  int version = 0;
  if (format && (!(format >> version) || version < 1 || version > kFormatVersion))
    fail("--upper {}: has a format from a newer version ({} in {})", quote(upper), version,
         quote(session_dir(work) + "/format"));
}

bool check_existing(const std::string& upper, const std::string& work, XattrPrefix prefix,
                    bool accept_volatile) {
  check_readable(upper, work);
  check_work(upper, work);
  if (!accept_volatile && has_volatile_mark(work))
    fail(
        "--upper {}: a volatile session did not end cleanly, and what it wrote may be lost or torn "
        "({}): discard the upper and the workdir, or go on with --accept-volatile",
        quote(upper), quote(volatile_mark(work)));
  check_xattrs(upper, prefix);
  // The kernel leaves its own "work" in the workdir of each mount.
  return names_in(upper).empty() && !fs::exists(session_dir(work) + "/format") &&
         !fs::exists(fs::symlink_status(work + "/work"));
}

}  // namespace ovl
