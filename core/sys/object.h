// A real object of a layer, by its path or by a descriptor on it: what an attribute is read from
// and written to. Never follows a symlink.
#pragma once

#include "core/sys/sys.h"

namespace ovl {

class Object {
 public:
  Object() = default;
  static Object at(CStr path) { return Object(Kind::kPath, path, -1); }
  // It stays open as long as this is used.
  static Object open(int fd) { return Object(Kind::kOpen, CStr(), fd); }
  // An O_PATH descriptor: most calls refuse those, and are made through procfs.
  static Object open_path(int fd) { return Object(Kind::kOpenPath, CStr(), fd); }

  bool is_fd() const { return kind_ != Kind::kPath; }
  int fd() const { return fd_; }
  CStr path() const { return path_; }

  Result<void> stat(StatX* out) const {
    return is_fd() ? sys_fstat(fd_, out) : sys_lstat(path_, out);
  }
  Result<void> chmod(mode_t mode) const;
  Result<void> chown(uid_t uid, gid_t gid) const;
  Result<void> utimens(const struct timespec* times) const;  // nullptr: now
  Result<size_t> get(const char* name, void* out, size_t size) const;
  Result<void> set(const char* name, const void* value, size_t size, int flags = 0) const;
  Result<void> remove(const char* name) const;
  Result<size_t> list(char* out, size_t size) const;

 private:
  enum class Kind : uint8_t { kPath, kOpen, kOpenPath };
  Object(Kind kind, CStr path, int fd) : kind_(kind), fd_(fd), path_(path) {}

  Kind kind_ = Kind::kPath;
  int fd_ = -1;
  CStr path_;
};

}  // namespace ovl
