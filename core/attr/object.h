// A real object of a layer, by its path or by a descriptor on it: what an attribute is read from
// and written to. Never follows a symlink.
#pragma once

#include "core/sys/sys.h"

namespace ovl {

class Object {
 public:
  Object() = default;
  static Object at(CStr path) { return Object(path, -1); }
  // Requires: no O_PATH descriptor; it stays open as long as this is used.
  static Object open(int fd) { return Object(CStr(), fd); }

  bool is_fd() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  CStr path() const { return path_; }

  Result<void> stat(StatX* out) const {
    return is_fd() ? sys_fstat(fd_, out) : sys_lstat(path_, out);
  }
  Result<void> chmod(mode_t mode) const {
    return is_fd() ? sys_fchmod(fd_, mode) : sys_chmod(path_, mode);
  }
  Result<void> chown(uid_t uid, gid_t gid) const {
    return is_fd() ? sys_fchown(fd_, uid, gid) : sys_chown(path_, uid, gid);
  }
  Result<void> utimens(const struct timespec* times) const {
    return is_fd() ? sys_futimens(fd_, times) : sys_utimens(path_, times);
  }
  Result<size_t> get(const char* name, void* out, size_t size) const {
    return is_fd() ? sys_fgetxattr(fd_, name, out, size) : sys_lgetxattr(path_, name, out, size);
  }
  Result<void> set(const char* name, const void* value, size_t size, int flags = 0) const {
    return is_fd() ? sys_fsetxattr(fd_, name, value, size, flags)
                   : sys_lsetxattr(path_, name, value, size, flags);
  }
  Result<void> remove(const char* name) const {
    return is_fd() ? sys_fremovexattr(fd_, name) : sys_lremovexattr(path_, name);
  }
  Result<size_t> list(char* out, size_t size) const {
    return is_fd() ? sys_flistxattr(fd_, out, size) : sys_llistxattr(path_, out, size);
  }

 private:
  Object(CStr path, int fd) : path_(path), fd_(fd) {}
  CStr path_;
  int fd_ = -1;
};

}  // namespace ovl
