// See memory.h.
#include "launcher/upper/memory.h"

#include <limits.h>
#include <stdio.h>

#include "core/copy_up/metadata.h"
#include "launcher/failure.h"
#include "launcher/session/listing.h"
#include "launcher/upper/view.h"

namespace ovl {
namespace {

constexpr const char kCopy[] = "copy", kBefore[] = "before";

// A symbolic link beside the copy: which name was to be copied up first.
std::string first_of(const std::string& place) { return place + ".first"; }

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool exists(const std::string& path) {
  StatX st;
  return sys_lstat(view(path), &st).ok();
}

}  // namespace

SettleMemory::SettleMemory(const std::string& dir, const std::string& upper)
    : dir_(dir), upper_(upper), resumed_(exists(dir)) {}

std::string SettleMemory::place_of(const StatX& file, const char* kind) const {
  return fmt::format("{}/{}-{:x}:{:x}-{:x}", dir_, kind, file.stx_dev_major, file.stx_dev_minor,
                     file.stx_ino);
}

void SettleMemory::make() {
  if (!made_) check_done(ignore_if(sys_mkdir(view(dir_), 0700), EEXIST), dir_);
  made_ = true;
}

bool SettleMemory::link(const Node& lower, const std::string& rel) {
  const std::string place = place_of(lower.real, kCopy), first = first_of(place), to = upper_ + rel;
  if (!exists(place)) {
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

void SettleMemory::will_copy(const Node& lower, const std::string& rel) {
  make();
  const std::string place = place_of(lower.real, kCopy), first = first_of(place);
  ignore(sys_unlink(view(first)));
  ignore(sys_unlink(view(place)));
  // A name that is too long for it: a kill just then breaks the link, as a copy-up does.
  check_done(ignore_if(sys_symlink(rel.c_str(), view(first)), ENAMETOOLONG), first);
}

void SettleMemory::copied(const Node& lower, const std::string& rel) {
  const std::string place = place_of(lower.real, kCopy), from = upper_ + rel;
  check_done(ignore_if(sys_link(view(from), view(place)), EMLINK), place);
}

void SettleMemory::will_change(const StatX& now) {
  make();
  const std::string place = place_of(now, kBefore);
  const std::string text =
      fmt::format("{} {} {} {} {}", now.stx_mode & 07777, now.stx_atime.tv_sec,
                  now.stx_atime.tv_nsec, now.stx_mtime.tv_sec, now.stx_mtime.tv_nsec);
  // Of an earlier try: that one has seen what it was.
  check_done(ignore_if(sys_symlink(text.c_str(), view(place)), EEXIST), place);
}

void SettleMemory::changed(const StatX& now, const std::string& rel) {
  const std::string place = place_of(now, kBefore), path = upper_ + rel;
  char text[PATH_MAX + 1];
  const size_t size = value_of(sys_readlink(view(place), text, PATH_MAX), place);
  text[size] = 0;
  unsigned mode = 0, access_part = 0, change_part = 0;
  long long access = 0, change = 0;
  if (sscanf(text, "%u %lld %u %lld %u", &mode, &access, &access_part, &change, &change_part) != 5)
    fail("{}: is damaged", quote(place));
  StatX times = now;
  times.stx_atime.tv_sec = access;
  times.stx_atime.tv_nsec = access_part;
  times.stx_mtime.tv_sec = change;
  times.stx_mtime.tv_nsec = change_part;
  if ((now.stx_mode & 07777) != mode) check_done(sys_chmod(view(path), mode), path);
  check_done(Times(times).set(view(path)), path);
  check_done(sys_unlink(view(place)), place);
}

void SettleMemory::finish_change(const StatX& now, const std::string& rel) {
  if (!resumed_) return;
  if (exists(place_of(now, kBefore))) changed(now, rel);
}

void SettleMemory::remove() {
  if (!exists(dir_)) return;
  for (const RealEntry& entry : real_entries(dir_)) {
    const std::string path = dir_ + "/" + entry.name;
    check_done(sys_unlink(view(path)), path);
  }
  check_done(sys_rmdir(view(dir_)), dir_);
}

}  // namespace ovl
