// See work_dir.h.
#include "launcher/session/work_dir.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/copy_up/marks.h"
#include "core/format/format.h"
#include "launcher/failure.h"

namespace ovl {
namespace {

// A link more than a file system allows only costs another one (copy_up/whiteout.cc).
constexpr nlink_t kSharedWhiteoutLinksMost = 32000;

}  // namespace

// The kernel leaves its "<work>/work" and "<work>/index" with mode 000.
void open_work(const std::string& work) {
  for (const char* name : {"/work", "/index"}) {
    const std::string inner = work + name;
    struct stat st;
    if (stat(inner.c_str(), &st) != 0) {
      if (errno == ENOENT && name == std::string("/index")) continue;
      fail("{}: {}", quote(inner), error_text(errno));
    }
    if ((st.st_mode & 0700) != 0700 && chmod(inner.c_str(), st.st_mode | 0700) != 0)
      fail("--work {}: {}: {}", quote(work), quote(inner), error_text(errno));
    if (access(inner.c_str(), R_OK | W_OK | X_OK) != 0)
      fail("--work {}: {}: {}", quote(work), quote(inner), error_text(errno));
  }
}

// "0" on the workdir says nothing, and is what the kernel tries there too. It stays: to set it
// again is no change.
void probe_xattrs(const PlannedOverlay& o, XattrPrefix prefix) {
  const std::string inner = o.work + "/work";
  const char* name = priv_name(prefix, Priv::kOpaque);
  char value[2] = {};
  if (lsetxattr(inner.c_str(), name, "0", 1, 0) == 0 &&
      lgetxattr(inner.c_str(), name, value, sizeof value) == 1)
    return;
  const int code = errno;
  if (prefix == XattrPrefix::kTrusted && code == EPERM)
    fail("--xattr=trusted: {}: only root may set trusted xattrs", error_text(code));
  if (code == EOPNOTSUPP)
    fail("--upper {}: its file system has no {} xattrs", quote(o.upper),
         prefix == XattrPrefix::kUser ? "user" : "trusted");
  fail("--upper {}: can't set xattrs: {}", quote(o.upper), error_text(code));
}

// Unprivileged mknod of 0:0 works since Linux 5.8, unless a sandbox refuses it. What it makes is
// the whiteout that all others are links to, so one that an earlier session has left will do.
bool have_whiteout(const PlannedOverlay& o, Created& created) {
  const std::string shared = o.work + "/work/" + kSharedWhiteout;
  struct stat st;
  if (lstat(shared.c_str(), &st) == 0) {
    if (S_ISCHR(st.st_mode) && st.st_rdev == 0 && st.st_uid == geteuid() &&
        st.st_nlink < kSharedWhiteoutLinksMost)
      return true;
    unlink(shared.c_str());
  }
  if (mknod(shared.c_str(), S_IFCHR, 0) != 0) return false;
  created.add(shared);
  return true;
}

}  // namespace ovl
