// Carries calls of a history out.
#pragma once

#include <sys/stat.h>

#include "tests/unit/linear/history.h"

namespace linear {

// How system calls are made. Each returns what the kernel would: a value or -errno.
class Calls {
 public:
  virtual ~Calls() = default;
  virtual long open(const char* path, int flags, mode_t mode) = 0;
  virtual long unlink(const char* path, int flags) = 0;
  virtual long mkdir(const char* path, mode_t mode) = 0;
  virtual long rename(const char* from, const char* to, unsigned flags) = 0;
  virtual long link(const char* from, const char* to) = 0;
  virtual long stat(const char* path, struct stat* out) = 0;
  virtual long chmod(const char* path, mode_t mode) = 0;
  virtual long truncate(const char* path, off_t size) = 0;
  virtual long fchdir(int fd) = 0;
  virtual long getdents(int fd, void* buffer, unsigned size) = 0;
};

// `top`: what the tree's root is called. Allocates nothing: for children of fork and for signal
// handlers too.
Answer perform(Calls& calls, const char* top, const Call& call);

// With libc's functions, which a preloaded library may have in their place.
class LibcCalls : public Calls {
 public:
  long open(const char* path, int flags, mode_t mode) override;
  long unlink(const char* path, int flags) override;
  long mkdir(const char* path, mode_t mode) override;
  long rename(const char* from, const char* to, unsigned flags) override;
  long link(const char* from, const char* to) override;
  long stat(const char* path, struct stat* out) override;
  long chmod(const char* path, mode_t mode) override;
  long truncate(const char* path, off_t size) override;
  long fchdir(int fd) override;
  long getdents(int fd, void* buffer, unsigned size) override;
};

}  // namespace linear
