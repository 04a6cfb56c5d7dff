// See around.h.
#include "launcher/session/around.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/caller/local_caller.h"
#include "core/sys/gate.h"
#include "core/walk/lookup.h"
#include "launcher/failure.h"
#include "launcher/session/listing.h"

namespace ovl {
namespace {

CStr view(const std::string& text) { return CStr(text.c_str(), text.size()); }
std::string text_of(Str s) { return std::string(s.data(), s.size()); }
bool below_or_same(const std::string& path, Str dir) { return is_below_or_same(view(path), dir); }

// The preload object has its gate page in this process already: then the calls of our own core may
// leave from there too. False: there is none, or that of another version.
bool join_gate() {
  std::string page(kGateSize, 0);
  struct iovec to = {page.data(), page.size()};
  struct iovec from = {reinterpret_cast<void*>(kGateAddress), page.size()};  // NOLINT
  if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != static_cast<ssize_t>(page.size()) ||
      page.compare(0, page.size(), ovl_gate_page, kGateSize) != 0)
    return false;
  gate_shift = kGateAddress - reinterpret_cast<uintptr_t>(ovl_gate_page);
  return true;
}

// Was a directory moved to somewhere inside this one of an upper?
bool holds_moved(const std::string& real, XattrFormat format) {
  const char* name = priv_name(format, Priv::kRedirect);
  std::vector<std::string> todo = {real};
  while (!todo.empty()) {
    const std::string dir = std::move(todo.back());
    todo.pop_back();
    if (sys_lgetxattr(view(dir), name, nullptr, 0).ok()) return true;
    for (const RealEntry& entry : real_entries(dir))
      if (entry.is_dir) todo.push_back(dir + "/" + entry.name);
  }
  return false;
}

}  // namespace

std::shared_ptr<Around> Around::find() {
  char file[PATH_MAX];
  const ssize_t size = readlink(kSessionLink, file, sizeof file - 1);
  if (size <= 0) return nullptr;
  file[size] = 0;
  auto around = std::make_shared<Around>();
  around->session_ = std::make_unique<Session>();
  const Result<void> attached = around->session_->attach(CStr(file, static_cast<size_t>(size)));
  if (!attached.ok())
    fail("already below ovlrun, and its session {} can't be joined: {}", quote(file),
         attached.error() == EPROTO ? "it is of another version" : error_text(attached.error()));
  const Segment& segment = around->session_->segment();
  if (segment.supervised != 0 && !join_gate())
    fail(
        "already below ovlrun, in a session without the preload object: another one can't be "
        "inside it");
  return around;
}

Place Around::look(const std::string& dir) const {
  LocalCaller caller;
  Op op(caller, *session_);
  Place place;
  const Result<const Node*> found = node_at(op, view(dir));
  if (!found.ok() && (found.error() == ENOENT || found.error() == ENOTDIR)) return place;
  if (!found.ok()) fail("{}: {}", quote(dir), error_text(found.error()));
  const Node& node = *found.value();
  if (node.outside()) {
    StatX st;
    place.outside = place.whole = true;
    if (sys_lstat(view(dir), &st).ok() && S_ISDIR(st.stx_mode))
      place.layers.push_back({dir, nullptr});
    return place;
  }
  if (!node.exists() || !node.is_dir()) return place;
  place.in_upper = node.in_upper();
  if (node.in_upper()) place.layers.push_back({text_of(node.upper), node.overlay->upper_layer});
  for (uint32_t i = 0; i < node.lower_count; i++)
    place.layers.push_back({text_of(node.lowers[i].path), node.lowers[i].layer});
  if (place.layers.size() != 1) return place;
  const Layer& layer = *place.layers[0].layer;
  // Hard links that are another inode there only show so through the session around.
  if (!layer.is_upper && layer.indexed && session_->state().index_used.load() != 0) return place;
  place.whole =
      !layer.has_format || (layer.is_upper && (session_->state().moved_count.load() == 0 ||
                                               !holds_moved(place.layers[0].root, layer.format)));
  return place;
}

std::string Around::real(const std::string& dir) const {
  const Place place = look(dir);
  if (place.layers.empty()) fail("{}: {}", quote(dir), error_text(ENOENT));
  return place.layers[0].root;
}

std::vector<std::string> Around::closed() const {
  std::vector<std::string> all;
  for (uint32_t i = 0; i < session_->overlay_count(); i++) {
    const Overlay& overlay = session_->overlay(i);
    if (overlay.upper_layer == nullptr) continue;
    for (const CStr path : {overlay.upper, overlay.work, session_->given_upper(overlay),
                            session_->given_work(overlay)})
      if (!path.empty()) all.push_back(text_of(path));
  }
  return all;
}

void Around::check_apart(const char* what, const std::string& path) const {
  for (const std::string& own : closed())
    if (below_or_same(path, view(own)))
      fail("{} {}: lies inside {}, which a session around this one writes to", what, quote(path),
           quote(own));
}

void Around::check_own(const char* what, const std::string& path) const {
  check_apart(what, path);
  const Place place = look(path);
  if (place.layers.empty() || place.outside) return;
  if (!place.in_upper)
    fail("{} {}: belongs to a lower of the session around this one: give a new directory", what,
         quote(path));
  if (!place.whole)
    fail("{} {}: is merged with a lower of the session around this one: give a new directory", what,
         quote(path));
}

}  // namespace ovl
