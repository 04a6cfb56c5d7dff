// ovlrun export: an upper for the kernel's overlayfs as root mounts it. It is made beside DEST and
// renamed to it at the end.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "core/base/str.h"
#include "core/format/format.h"
#include "core/sys/sys.h"
#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/session/existing.h"
#include "launcher/session/plan.h"
#include "launcher/upper/held.h"
#include "launcher/upper/trusted_copy.h"
#include "launcher/upper/view.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

bool overlap(const std::string& a, const std::string& b) {
  return is_below_or_same(view(a), view(b)) || is_below_or_same(view(b), view(a));
}

// A directory that is missing or empty, as a canonical path.
std::string checked_destination(const std::string& given, const NamedUpper& named) {
  std::string to = canonical(given);
  const std::string shown = quote(to);
  for (const std::string* own : {&named.upper, &named.work})
    if (overlap(to, *own)) fail("export: {}: overlaps {}", shown, quote(*own));
  const std::string parent = fs::path(to).parent_path();
  struct stat st, above;
  if (stat(parent.c_str(), &above) != 0) fail("export: {}: {}", shown, error_text(errno));
  if (!S_ISDIR(above.st_mode)) fail("export: {}: {}", shown, error_text(ENOTDIR));
  if (lstat(to.c_str(), &st) != 0) {
    if (errno != ENOENT) fail("export: {}: {}", shown, error_text(errno));
    return to;
  }
  if (!S_ISDIR(st.st_mode)) fail("export: {}: {}", shown, error_text(ENOTDIR));
  if (st.st_dev != above.st_dev)
    fail("export: {}: is where a file system is mounted: give a directory inside", shown);
  if (!fs::is_empty(to)) fail("export: {}: {}", shown, error_text(ENOTEMPTY));
  return to;
}

volatile sig_atomic_t interrupted = 0;

// The directory in which the copy comes to be; removed unless it got its name.
class Unfinished {
 public:
  explicit Unfinished(const std::string& destination)
      : path_(fs::path(destination).parent_path() / ".ovlrun-export-XXXXXX") {
    for (const int number : {SIGHUP, SIGINT, SIGTERM}) signal(number, [](int) { interrupted = 1; });
    if (mkdtemp(path_.data()) == nullptr)
      fail("export: {}: {}", quote(destination), error_text(errno));
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    std::error_code error;
    if (!published_) fs::remove_all(path_, error);
  }

  const std::string& path() const { return path_; }

  void publish(const std::string& destination) {
    check_done(sync_of(path_, true), destination);
    check_done(sys_rename(view(path_), view(destination)), destination);
    published_ = true;
    check_done(sync_of(fs::path(destination).parent_path(), false), destination);
  }

 private:
  static Result<void> sync_of(const std::string& dir, bool all) {
    const UniqueFd fd = TRY(sys_openat(view(dir), O_RDONLY | O_DIRECTORY));
    if (!all) return sys_fsync(fd.get());
    return syncfs(fd.get()) == 0 ? Result<void>() : Result<void>(Error(errno));
  }

  std::string path_;
  bool published_ = false;
};

// Root of a user namespace may not.
void check_trusted(const std::string& dir) {
  const char* name = priv_name(XattrPrefix::kTrusted, Priv::kOpaque);
  const Result<void> set = sys_lsetxattr(view(dir), name, "0", 1);
  if (!set.ok()) fail("export: can't set trusted xattrs: {}", error_text(set.error()));
  check_done(sys_lremovexattr(view(dir), name), dir);
}

}  // namespace

int export_main(const ExportOptions& options) {
  if (!options.trusted) fail("export: say --trusted: it is the one form that there is");
  if (geteuid() != 0) fail("export: --trusted: only root may set trusted xattrs");
  const NamedUpper named = named_upper("export", options.upper, options.work);
  if (options.destination.empty()) fail("export: no DEST (see ovlrun export --help)");
  const std::string to = checked_destination(options.destination, named);
  const std::string to_work =
      has_index(named.work) ? checked_destination(default_work(to), named) : "";
  if (named.recorded && named.recorded->prefix == XattrPrefix::kTrusted)
    fail("export: --upper {}: is a trusted upper already", quote(named.upper));
  const HeldUpper held(named, XattrPrefix::kUser);
  Unfinished copy(to);
  check_trusted(copy.path());
  Progress progress("export", options.verbose, &interrupted);
  std::optional<Unfinished> work;
  if (!to_work.empty()) work.emplace(to_work);
  copy_trusted(named.upper, named.work, copy.path(), work ? work->path() : "", progress);
  progress.begins("waiting for the disk");
  // The upper comes last: where it is, all is.
  if (work) work->publish(to_work);
  copy.publish(to);
  return 0;
}

}  // namespace ovl
