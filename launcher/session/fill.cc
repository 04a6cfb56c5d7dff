// See fill.h. Kernel counterparts: the copy-up of the root's attributes that a mount leaves to the
// user, and nothing for the moved directories: the kernel has dentries.
#include "launcher/session/fill.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/caller/local_caller.h"
#include "core/caller/op.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/names/redirect.h"
#include "core/session/lock.h"
#include "core/session/moved.h"
#include "core/session/readers.h"
#include "core/session/session.h"
#include "core/walk/lookup.h"
#include "launcher/failure.h"
#include "launcher/session/existing.h"
#include "launcher/session/listing.h"

namespace ovl {
namespace {

// A fresh upper's root becomes a copy-up of what the lowers show: owner, mode, xattrs, times.
Result<void> copy_root(Op& op, const Overlay& overlay) {
  Node lower = *TRY(lookup_root(op, overlay));
  lower.where = Where::kLower;
  TRY(load_attributes(op, &lower));
  TRY(copy_metadata(op, lower, overlay.upper));
  return Times(lower.real).set(overlay.upper);
}

// Walks the upper (of a read-only view, the topmost lower) for directories that carry a redirect.
Result<void> collect_moved(Op& op, Session& session, const Overlay& overlay) {
  const bool own = overlay.upper_layer != nullptr;
  const CStr root = own ? overlay.upper : overlay.lowers[0].root;
  const char* name = priv_name(overlay.format, Priv::kRedirect);
  std::vector<std::string> todo = {""};  // relative to the upper, as programs name it
  while (!todo.empty()) {
    const std::string dir = std::move(todo.back());
    todo.pop_back();
    const std::string real = std::string(root.c_str()) + dir;
    if (!dir.empty()) {
      char value[kRedirectMax + 1];
      const Result<size_t> size =
          sys_lgetxattr(CStr(real.c_str(), real.size()), name, value, sizeof value);
      if (size.ok()) {
        // The whole path below the lower roots is what the walk found: redirects above are in it
        // already.
        const std::string shown =
            std::string(overlay.at == Str("/") ? "" : overlay.at.c_str()) + dir;
        const Node* node = TRY(node_at(op, CStr(shown.c_str(), shown.size())));
        if (node->lower_count > 0) {
          const Str lower = TRY(lower_path(op, *node));
          TRY(moved_add(session, overlay, lower, Str(dir.data(), dir.size())));
        }
      }
    }
    if (own) TRY(keep_open_to_us(op, overlay, CStr(real.c_str(), real.size())));
    for (const RealEntry& entry : real_entries(real))
      if (entry.is_dir) todo.push_back(dir + "/" + entry.name);
  }
  return {};
}

// What the command gets from whoever started ovlrun, and can read.
std::vector<StatX> inherited_files() {
  std::vector<StatX> files;
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir("/proc/self/fd"), closedir);
  if (list == nullptr) return files;
  while (const dirent* entry = readdir(list.get())) {
    if (entry->d_name[0] == '.') continue;
    const int fd = atoi(entry->d_name);
    if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) continue;
    StatX st;
    if (!sys_fstat(fd, &st).ok() || !S_ISREG(st.stx_mode)) continue;
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) files.push_back(st);
  }
  return files;
}

void note_all(Session& session, const std::vector<StatX>& files) {
  for (const StatX& file : files) note_reader(session, file, reader_stamp(session));
}

}  // namespace

void note_inherited_files(Session& session) { note_all(session, inherited_files()); }

void fill_session(const Plan& plan, XattrPrefix prefix, const std::string& session_file) {
  // Below trusted.overlay redirects are the kernel's own, and are not marked.
  const auto may_have_moved = [prefix](const PlannedOverlay& o) {
    return prefix == XattrPrefix::kTrusted || o.read_only() || is_marked_unportable(o.work);
  };
  const auto needs_filling = [&](const PlannedOverlay& o) {
    return o.fresh_upper || may_have_moved(o);
  };
  const std::vector<StatX> inherited = inherited_files();
  if (inherited.empty() && std::none_of(plan.overlays.begin(), plan.overlays.end(), needs_filling))
    return;
  auto session = std::make_unique<Session>();  // half a page of layers: not for the stack
  const Result<void> attached = session->attach(CStr(session_file.c_str(), session_file.size()));
  if (!attached.ok()) fail("{}: {}", quote(session_file), error_text(attached.error()));
  note_all(*session, inherited);
  LocalCaller caller;
  // Those of sessions around stand in front.
  const uint32_t first = session->overlay_count() - static_cast<uint32_t>(plan.overlays.size());
  for (uint32_t i = 0; i < plan.overlays.size(); i++) {
    const PlannedOverlay& planned = plan.overlays[i];
    const Overlay& overlay = session->overlay(first + i);
    if (planned.fresh_upper) {
      Op op(caller, *session);
      const Result<void> done = copy_root(op, overlay);
      if (!done.ok())
        fail("--upper {}: can't give it the lower's attributes: {}", quote(planned.upper),
             error_text(done.error()));
    }
    if (!may_have_moved(planned)) continue;
    Op op(caller, *session);
    Mutation mutation(*session, Mutation::Topology::kExclusive);
    const Result<void> done = collect_moved(op, *session, overlay);
    if (!done.ok())
      fail("--upper {}: reading its redirects: {}", quote(planned.upper), error_text(done.error()));
  }
}

}  // namespace ovl
