// See object.h.
#include "core/sys/object.h"

namespace ovl {
namespace {

// "/proc/thread-self/fd/<n>", which the kernel follows to the very object.
class MagicLink {
 public:
  explicit MagicLink(int fd) {
    char digits[12];
    int count = 0;
    for (; count == 0 || fd > 0; fd /= 10) digits[count++] = static_cast<char>('0' + fd % 10);
    char* w = text_ + sizeof kDirectory - 1;
    memcpy(text_, kDirectory, sizeof kDirectory - 1);
    while (count > 0) *w++ = digits[--count];
    *w = 0;
  }
  const char* text() const { return text_; }

 private:
  static constexpr char kDirectory[] = "/proc/thread-self/fd/";
  char text_[sizeof kDirectory + 12];
};

Result<size_t> size_of(long raw) {
  if (raw < 0) return Error(static_cast<int>(-raw));
  return static_cast<size_t>(raw);
}

}  // namespace

Result<void> Object::chmod(mode_t mode) const {
  if (kind_ == Kind::kPath) return sys_chmod(path_, mode);
  if (kind_ == Kind::kOpen) return sys_fchmod(fd_, mode);
  return checked_void(raw_call(SYS_fchmodat, AT_FDCWD, MagicLink(fd_).text(), mode));
}

Result<void> Object::chown(uid_t uid, gid_t gid) const {
  if (kind_ == Kind::kPath) return sys_chown(path_, uid, gid);
  if (kind_ == Kind::kOpen) return sys_fchown(fd_, uid, gid);
  return checked_void(raw_call(SYS_fchownat, fd_, "", uid, gid, AT_EMPTY_PATH));
}

Result<void> Object::utimens(const struct timespec* times) const {
  if (kind_ == Kind::kPath) return sys_utimens(path_, times);
  if (kind_ == Kind::kOpen) return sys_futimens(fd_, times);
  return checked_void(raw_call(SYS_utimensat, AT_FDCWD, MagicLink(fd_).text(), times, 0));
}

Result<size_t> Object::get(const char* name, void* out, size_t size) const {
  if (kind_ == Kind::kPath) return sys_lgetxattr(path_, name, out, size);
  if (kind_ == Kind::kOpen) return sys_fgetxattr(fd_, name, out, size);
  return size_of(raw_call(SYS_getxattr, MagicLink(fd_).text(), name, out, size));
}

Result<void> Object::set(const char* name, const void* value, size_t size, int flags) const {
  if (kind_ == Kind::kPath) return sys_lsetxattr(path_, name, value, size, flags);
  if (kind_ == Kind::kOpen) return sys_fsetxattr(fd_, name, value, size, flags);
  return checked_void(raw_call(SYS_setxattr, MagicLink(fd_).text(), name, value, size, flags));
}

Result<void> Object::remove(const char* name) const {
  if (kind_ == Kind::kPath) return sys_lremovexattr(path_, name);
  if (kind_ == Kind::kOpen) return sys_fremovexattr(fd_, name);
  return checked_void(raw_call(SYS_removexattr, MagicLink(fd_).text(), name));
}

Result<size_t> Object::list(char* out, size_t size) const {
  if (kind_ == Kind::kPath) return sys_llistxattr(path_, out, size);
  if (kind_ == Kind::kOpen) return sys_flistxattr(fd_, out, size);
  return size_of(raw_call(SYS_listxattr, MagicLink(fd_).text(), out, size));
}

}  // namespace ovl
