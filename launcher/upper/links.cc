// See links.h.
#include "launcher/upper/links.h"

#include <limits.h>

#include "core/copy_up/metadata.h"
#include "launcher/failure.h"
#include "launcher/session/listing.h"
#include "launcher/upper/view.h"

namespace ovl {
namespace {

// A symbolic link beside the copy: which name was to be copied up first.
std::string first_of(const std::string& place) { return place + ".first"; }

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

std::string SettledLinks::place_of(const Node& lower) const {
  return fmt::format("{}/{:x}:{:x}-{:x}", dir_, lower.real.stx_dev_major, lower.real.stx_dev_minor,
                     lower.real.stx_ino);
}

bool SettledLinks::link(const Node& lower, const std::string& rel) {
  const std::string place = place_of(lower), first = first_of(place), to = upper_ + rel;
  StatX st;
  if (!sys_lstat(view(place), &st).ok()) {
    // Was the first name copied, before a kill?
    char text[PATH_MAX];
    const Result<size_t> size = sys_readlink(view(first), text, sizeof text);
    if (!size.ok()) return false;
    const std::string copy = upper_ + std::string(text, size.value());
    if (!sys_link(view(copy), view(place)).ok()) return false;
  }
  const std::string dir = parent_of(to);
  const KeepTimes keep = value_of(KeepTimes::of(view(dir)), to);
  const Result<void> linked = sys_link(view(place), view(to));
  if (!linked.ok() && linked.error() == EMLINK) return false;
  check_done(linked, to);
  check_done(keep.restore(), dir);
  return true;
}

void SettledLinks::will_copy(const Node& lower, const std::string& rel) {
  if (!made_) check_done(ignore_if(sys_mkdir(view(dir_), 0700), EEXIST), dir_);
  made_ = true;
  const std::string place = place_of(lower), first = first_of(place);
  ignore(sys_unlink(view(first)));
  ignore(sys_unlink(view(place)));
  // A name that is too long for it: a kill just then breaks the link, as a copy-up does.
  check_done(ignore_if(sys_symlink(rel.c_str(), view(first)), ENAMETOOLONG), first);
}

void SettledLinks::copied(const Node& lower, const std::string& rel) {
  const std::string place = place_of(lower), from = upper_ + rel;
  check_done(ignore_if(sys_link(view(from), view(place)), EMLINK), place);
}

void SettledLinks::remove() {
  StatX st;
  if (!sys_lstat(view(dir_), &st).ok()) return;
  for (const RealEntry& entry : real_entries(dir_)) {
    const std::string path = dir_ + "/" + entry.name;
    check_done(sys_unlink(view(path)), path);
  }
  check_done(sys_rmdir(view(dir_)), dir_);
}

}  // namespace ovl
