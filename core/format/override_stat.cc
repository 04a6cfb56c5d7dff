// user.containers.override_stat: "uid:gid:octalmode[:type]", what programs see of an object whose
// owner, mode or type the user cannot really set. Counterpart: containers/storage pkg/idtools,
// fuse-overlayfs.
#include <sys/stat.h>

#include "core/format/format.h"
#include "core/format/numbers.h"

namespace ovl {
namespace {

struct TypeName {
  Str name;
  mode_t type;
};
constexpr TypeName kTypes[] = {
    {"file", S_IFREG},    {"dir", S_IFDIR},   {"symlink", S_IFLNK}, {"pipe", S_IFIFO},
    {"socket", S_IFSOCK}, {"block", S_IFBLK}, {"char", S_IFCHR},
};

// The device number behind "block" or "char": "-8-0"; older writers left "8:0".
bool take_device(Str text, OverrideStat* out) {
  uint64_t major, minor;
  const bool dashes = take(&text, '-');
  if (!take_number(&text, 10, UINT32_MAX, &major)) return false;
  if (!take(&text, dashes ? '-' : ':')) return false;
  if (!take_number(&text, 10, UINT32_MAX, &minor) || !text.empty()) return false;
  out->rdev_major = static_cast<uint32_t>(major);
  out->rdev_minor = static_cast<uint32_t>(minor);
  return true;
}

bool take_type(Str text, OverrideStat* out) {
  for (const TypeName& t : kTypes) {
    if (!text.starts_with(t.name)) continue;
    out->mode |= t.type;
    out->has_type = true;
    const Str rest = text.sub(t.name.size());
    return S_ISBLK(t.type) || S_ISCHR(t.type) ? take_device(rest, out) : rest.empty();
  }
  return false;
}

}  // namespace

Result<void> decode_override_stat(Str value, OverrideStat* out) {
  constexpr uint64_t kIdMax = UINT32_MAX - 1;  // (uid_t)-1 is nobody's
  uint64_t uid, gid, mode;
  if (!take_number(&value, 10, kIdMax, &uid) || !take(&value, ':')) return Error(EINVAL);
  if (!take_number(&value, 10, kIdMax, &gid) || !take(&value, ':')) return Error(EINVAL);
  if (!take_number(&value, 8, UINT32_MAX, &mode)) return Error(EINVAL);
  OverrideStat result{};
  result.uid = static_cast<uid_t>(uid);
  result.gid = static_cast<gid_t>(gid);
  result.mode = static_cast<mode_t>(mode & 07777);
  if (!value.empty() && (!take(&value, ':') || !take_type(value, &result))) return Error(EINVAL);
  *out = result;
  return {};
}

size_t encode_override_stat(const OverrideStat& stat, char* out) {
  char* w = out;
  w += put_number(w, stat.uid, 10, 1);
  *w++ = ':';
  w += put_number(w, stat.gid, 10, 1);
  *w++ = ':';
  w += put_number(w, stat.mode & 07777, 8, 4);
  *w++ = ':';
  Str name = kTypes[0].name;
  for (const TypeName& t : kTypes)
    if ((stat.mode & S_IFMT) == t.type) name = t.name;
  memcpy(w, name.data(), name.size());
  w += name.size();
  if (S_ISBLK(stat.mode) || S_ISCHR(stat.mode)) {
    *w++ = '-';
    w += put_number(w, stat.rdev_major, 10, 1);
    *w++ = '-';
    w += put_number(w, stat.rdev_minor, 10, 1);
  }
  return static_cast<size_t>(w - out);
}

}  // namespace ovl
