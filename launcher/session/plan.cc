// See plan.h.
#include "launcher/session/plan.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/base/str.h"
#include "core/base/unique_fd.h"
#include "launcher/failure.h"
#include "launcher/session/existing.h"
#include "launcher/session/identity.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

bool below_or_same(const std::string& path, const std::string& dir) {
  return is_below_or_same(Str(path.data(), path.size()), Str(dir.data(), dir.size()));
}
bool strictly_below(const std::string& path, const std::string& dir) {
  return path != dir && below_or_same(path, dir);
}

// The nearest directory above (or at) `path` that exists.
std::string existing_ancestor(std::string path) {
  struct stat st;
  while (path != "/" && lstat(path.c_str(), &st) != 0) path = fs::path(path).parent_path();
  return path;
}

void check_lower(const std::string& given) {
  struct stat st;
  if (stat(given.c_str(), &st) != 0) fail("--lower {}: {}", quote(given), error_text(errno));
  if (!S_ISDIR(st.st_mode)) fail("--lower {}: {}", quote(given), error_text(ENOTDIR));
  if (access(given.c_str(), R_OK | X_OK) != 0)
    fail("--lower {}: {}", quote(given), error_text(errno));
  struct statfs fs_info;
  if (statfs(given.c_str(), &fs_info) == 0 &&
      (fs_info.f_type == PROC_SUPER_MAGIC || fs_info.f_type == SYSFS_MAGIC))
    fail("--lower {}: can't be on proc or sysfs", quote(given));
}

// An upper or workdir: a directory that we may write, or one that we may create.
void check_writable(const char* what, const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) == 0) {
    if (!S_ISDIR(st.st_mode)) fail("{} {}: {}", what, quote(path), error_text(ENOTDIR));
    if (access(path.c_str(), R_OK | W_OK | X_OK) != 0)
      fail("{} {}: {}", what, quote(path), error_text(errno));
    return;
  }
  if (errno != ENOENT) fail("{} {}: {}", what, quote(path), error_text(errno));
  const std::string above = existing_ancestor(path);
  if (above == path) fail("{} {}: is a symbolic link that leads nowhere", what, quote(path));
  if (stat(above.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
    fail("{} {}: {}", what, quote(path), error_text(ENOTDIR));
  if (access(above.c_str(), W_OK | X_OK) != 0)
    fail("{} {}: can't create it: {}", what, quote(path), error_text(errno));
}

struct MountPlace {
  uint64_t mount;
  dev_t dev;
  bool operator==(const MountPlace&) const = default;
};

MountPlace mount_of(const std::string& path) {
  struct statx st;
  memset(&st, 0, sizeof st);
  const std::string there = existing_ancestor(path);
  if (statx(AT_FDCWD, there.c_str(), 0, STATX_BASIC_STATS | STATX_MNT_ID, &st) != 0)
    fail("{}: {}", quote(there), error_text(errno));
  return {(st.stx_mask & STATX_MNT_ID) != 0 ? st.stx_mnt_id : 0,
          makedev(st.stx_dev_major, st.stx_dev_minor)};
}

bool same_inode(const std::string& a, const std::string& b) {
  struct stat sa, sb;
  return a == b || (stat(a.c_str(), &sa) == 0 && stat(b.c_str(), &sb) == 0 &&
                    sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino);
}

// A fresh name below the state directory; the same one for all pairs of a session.
std::string fresh_upper_dir() {
  char stamp[32];
  const time_t now = time(nullptr);
  struct tm parts;
  strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &parts));
  return fmt::format("{}/{}-{}", state_dir(), stamp, getpid());
}

PlannedOverlay plan_pair(const PairOptions& pair, const std::string& fresh_dir, size_t index) {
  PlannedOverlay planned;
  for (const std::string& lower : pair.lowers) {
    check_lower(lower);
    planned.lowers.push_back(canonical(lower));
  }
  for (const std::string& lower : pair.data_lowers) {
    check_lower(lower);
    planned.data_lowers.push_back(canonical(lower));
  }
  if (pair.at) {
    struct stat st;
    if (stat(pair.at->c_str(), &st) != 0) fail("--at {}: {}", quote(*pair.at), error_text(errno));
    if (!S_ISDIR(st.st_mode)) fail("--at {}: {}", quote(*pair.at), error_text(ENOTDIR));
    planned.at = canonical(*pair.at);
  } else if (planned.lowers.size() > 1) {
    fail("--lower with several directories needs --at DIR, where they are shown");
  } else {
    planned.at = planned.lowers[0];
  }
  if (pair.upper) {
    planned.upper = canonical(*pair.upper);
    check_writable("--upper", planned.upper);
  } else {
    planned.upper = fresh_dir + (index == 0 ? "/upper" : fmt::format("/upper{}", index + 1));
    planned.own_upper = true;
    check_writable("--upper", planned.upper);
  }
  planned.work = pair.work ? canonical(*pair.work) : default_work(planned.upper);
  return planned;
}

// Those that give data too.
std::vector<std::string> all_lowers(const PlannedOverlay& o) {
  std::vector<std::string> all = o.lowers;
  all.insert(all.end(), o.data_lowers.begin(), o.data_lowers.end());
  return all;
}

// One overlay for itself.
void check_geometry(const PlannedOverlay& o) {
  const std::string upper = quote(o.upper), work = quote(o.work);
  const std::vector<std::string> lowers = all_lowers(o);
  for (const std::string& lower : lowers) {
    if (same_inode(o.upper, lower)) fail("--upper {}: is the lower itself", upper);
    if (same_inode(o.work, lower)) fail("--work {}: is the lower itself", work);
    if (strictly_below(lower, o.upper))
      fail("--lower {}: lies inside the upper {}", quote(lower), upper);
    if (strictly_below(lower, o.work))
      fail("--lower {}: lies inside the workdir {}", quote(lower), work);
  }
  for (size_t i = 0; i < lowers.size(); i++)
    for (size_t k = 0; k < lowers.size(); k++)
      if (i != k && (same_inode(lowers[i], lowers[k]) || below_or_same(lowers[k], lowers[i])))
        fail("--lower {}: overlaps the lower {}", quote(lowers[k]), quote(lowers[i]));
  if (same_inode(o.work, o.upper)) fail("--work {}: is the upper itself", work);
  if (strictly_below(o.work, o.upper)) fail("--work {}: lies inside the upper {}", work, upper);
  if (strictly_below(o.upper, o.work)) fail("--upper {}: lies inside the workdir {}", upper, work);
  for (const std::string* own : {&o.upper, &o.work})
    if (below_or_same(o.at, *own)) fail("--at {}: lies inside {}", quote(o.at), quote(*own));
  for (const std::string& lower : lowers)
    if (o.at != lower && strictly_below(o.at, lower))
      fail("--at {}: lies inside the lower {}", quote(o.at), quote(lower));
  check_writable("--work", o.work);
  if (!(mount_of(o.upper) == mount_of(o.work)))
    fail("--work {}: is not on the same mounted file system as the upper {}", work, upper);
}

bool in_place(const PlannedOverlay& o) { return o.lowers.size() == 1 && o.lowers[0] == o.at; }

// Two overlays of one session. One in place inside another in place is fine: it is as if mounted
// there.
void check_pair(const PlannedOverlay& a, const PlannedOverlay& b) {
  if (a.at == b.at) fail("{}: two overlays at the same place", quote(a.at));
  for (const std::string* own : {&a.upper, &a.work})
    for (const std::string* other : {&b.upper, &b.work})
      if (below_or_same(*own, *other) || below_or_same(*other, *own) || same_inode(*own, *other))
        fail("{}: overlaps {} of another --lower", quote(*own), quote(*other));
  for (const std::string& la : all_lowers(a))
    for (const std::string& lb : all_lowers(b)) {
      const bool overlap = below_or_same(la, lb) || below_or_same(lb, la) || same_inode(la, lb);
      if (overlap && (!in_place(a) || !in_place(b) || same_inode(la, lb)))
        fail("--lower {}: overlaps --lower {}", quote(la), quote(lb));
    }
  for (const std::string* own : {&a.upper, &a.work})
    for (const std::string& lower : all_lowers(b))
      if (below_or_same(lower, *own)) fail("--lower {}: lies inside {}", quote(lower), quote(*own));
}

// Where programs see the real path: once per overlay that shows it.
void exclude_real(const std::vector<PlannedOverlay>& overlays, const std::string& real,
                  std::vector<std::string>& excludes) {
  for (const PlannedOverlay& o : overlays)
    for (const std::string& lower : o.lowers) {
      if (!strictly_below(real, lower)) continue;
      const Str rest = below(Str(real.data(), real.size()), Str(lower.data(), lower.size()));
      const std::string shown = (o.at == "/" ? "" : o.at) + std::string(rest.data(), rest.size());
      if (std::find(excludes.begin(), excludes.end(), shown) == excludes.end())
        excludes.push_back(shown);
    }
}

void plan_excludes(const RunOptions& options, Plan& plan) {
  for (const std::string& dir : options.excludes) {
    struct stat st;
    if (stat(dir.c_str(), &st) != 0) fail("--exclude {}: {}", quote(dir), error_text(errno));
    const std::string path = canonical(dir);
    const bool inside =
        std::any_of(plan.overlays.begin(), plan.overlays.end(),
                    [&](const PlannedOverlay& o) { return strictly_below(path, o.at); });
    if (!inside) fail("--exclude {}: lies below no --lower", quote(path));
    plan.excludes.push_back(path);
  }
  for (const char* special : {"/proc", "/sys", "/dev", "/run"})
    exclude_real(plan.overlays, special, plan.excludes);
  for (const PlannedOverlay& o : plan.overlays) {
    exclude_real(plan.overlays, o.upper, plan.excludes);
    exclude_real(plan.overlays, o.work, plan.excludes);
  }
  if (plan.around != nullptr)
    for (const std::string& path : plan.around->closed())
      exclude_real(plan.overlays, path, plan.excludes);
  const bool needs_state = std::any_of(plan.overlays.begin(), plan.overlays.end(),
                                       [](const PlannedOverlay& o) { return o.own_upper; });
  try {
    const std::string state = canonical(state_dir());
    if (needs_state || fs::exists(state)) exclude_real(plan.overlays, state, plan.excludes);
  } catch (const std::exception&) {
    if (needs_state) throw;  // no home, or somebody else's: then no upper of ours is there
  }
  if (plan.excludes.size() > kMaxExcludes) fail("more than {} excluded directories", kMaxExcludes);
}

// What an inner session may not have.
void check_inside(const Around& around, const Plan& plan) {
  const Session& session = around.session();
  if (session.level() + 1 >= kMaxNesting)
    fail("more than {} sessions inside one another", kMaxNesting);
  if (session.overlay_count() + plan.overlays.size() > kMaxOverlays)
    fail("more than {} overlays, with those of the session around this one", kMaxOverlays);
  for (const PlannedOverlay& o : plan.overlays) {
    around.check_own("--upper", o.upper);
    around.check_own("--work", o.work);
    for (const std::string& lower : all_lowers(o)) around.check_apart("--lower", lower);
  }
}

std::string preload_of(const Session& session) {
  return session.segment().str(session.segment().preload_path).c_str();
}

// A whole object for this machine (the table of its sections is its end), whose code may be mapped:
// not on a file system that is mounted noexec.
bool looks_loadable(const std::string& object) {
  const UniqueFd file(open(object.c_str(), O_RDONLY | O_CLOEXEC));
  Elf64_Ehdr head;
  struct stat st;
  if (!file.valid() || fstat(file.get(), &st) != 0 ||
      pread(file.get(), &head, sizeof head, 0) != sizeof head ||
      memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
      head.e_machine != EM_X86_64 || head.e_type != ET_DYN || head.e_shoff == 0 ||
      head.e_shoff + size_t{head.e_shnum} * head.e_shentsize > static_cast<size_t>(st.st_size))
    return false;
  void* const code = mmap(nullptr, sizeof head, PROT_READ | PROT_EXEC, MAP_PRIVATE, file.get(), 0);
  if (code == MAP_FAILED) return false;
  munmap(code, sizeof head);
  return true;
}

// ld.so only warns of a preload object that it can't load, and the program would run on the real
// lower. To load it here too would cost a start more than all else that is checked.
void check_loadable(const std::string& preload) {
  if (looks_loadable(preload)) return;
  void* const handle = dlopen(preload.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) fail("the preload object can't be loaded: {}", dlerror());
  dlclose(handle);
}

// The preload object beside the binary: in an installed tree, or in the build tree.
std::string find_preload() {
  const fs::path self = fs::read_symlink("/proc/self/exe").parent_path();
  for (const char* place : {OVLRUN_PRELOAD_FROM_BIN, "../preload/libovlrun.so"}) {
    std::error_code error;
    const fs::path found = fs::canonical(self / place, error);
    if (error) continue;
    check_loadable(found);
    return found;
  }
  fail("{} is missing: the installation is not complete",
       quote((self / OVLRUN_PRELOAD_FROM_BIN).string()));
}

}  // namespace

std::string session_dir(const std::string& work) { return work + "/ovlrun"; }

std::string default_work(const std::string& upper) { return upper + ".work"; }

std::string state_dir() {
  const char* state = getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return std::string(state) + "/ovlrun";
  const char* home = getenv("HOME");
  if (home == nullptr || home[0] != '/') {
    const struct passwd* user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  if (home == nullptr || home[0] != '/')
    fail("no --upper given, and neither XDG_STATE_HOME nor HOME is set");
  return std::string(home) + "/.local/state/ovlrun";
}

std::string canonical(const std::string& path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) fail("{}: {}", quote(path), error.message());
  std::string text = result.lexically_normal();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

Plan make_plan(const RunOptions& options, std::shared_ptr<Around> around, PlanFor what) {
  Plan plan;
  plan.around = std::move(around);
  const bool needs_fresh = std::any_of(options.pairs.begin(), options.pairs.end(),
                                       [](const PairOptions& pair) { return !pair.upper; });
  const std::string fresh_dir = needs_fresh ? canonical(fresh_upper_dir()) : "";
  size_t layers = 0;
  if (options.pairs.size() > kMaxOverlays) fail("more than {} overlays", kMaxOverlays);
  for (const PairOptions& pair : options.pairs) {
    layers += pair.lowers.size() + pair.data_lowers.size() + 1;
    if (layers > kMaxLayers) fail("more than {} layers", kMaxLayers);
    plan.overlays.push_back(plan_pair(pair, fresh_dir, plan.overlays.size()));
  }
  for (const PlannedOverlay& o : plan.overlays) check_geometry(o);
  for (size_t i = 0; i < plan.overlays.size(); i++)
    for (size_t k = 0; k < plan.overlays.size(); k++)
      if (i != k) check_pair(plan.overlays[i], plan.overlays[k]);
  if (plan.around != nullptr) check_inside(*plan.around, plan);
  plan_excludes(options, plan);
  // All of a tree of processes have one object.
  plan.preload = plan.around == nullptr ? find_preload() : preload_of(plan.around->session());
  for (PlannedOverlay& o : plan.overlays) {
    if (what == PlanFor::kLook)
      check_readable(o.upper, o.work);
    else
      o.fresh_upper = check_existing(o.upper, o.work, options.prefix);
    for (const std::string& lower : o.lowers)
      o.roots.push_back(root_identity(lower, plan.around != nullptr));
    if (!o.fresh_upper) o.upper_root = root_identity(o.upper, plan.around != nullptr);
    if (options.portable && has_index(o.work))
      fail(
          "--portable: --upper {} is not portable: it has an index of hard links ({}), which not "
          "every reader knows; 'ovlrun settle' makes it portable",
          quote(o.upper), quote(o.work + "/index"));
    if (options.portable && is_marked_unportable(o.work))
      fail(
          "--portable: --upper {} is not portable: an earlier session without --portable left "
          "redirects, metacopies or whiteouts that are files; 'ovlrun settle' makes it portable",
          quote(o.upper));
  }
  return plan;
}

}  // namespace ovl
