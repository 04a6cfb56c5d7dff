// System calls made without libc's functions for them.
#pragma once

#include "tests/unit/linear/perform.h"

namespace linear {

class RawCalls : public Calls {
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

 private:
  // What the kernel returns.
  virtual long call(long number, long a, long b, long c, long d, long e) = 0;
};

// By libc's syscall(), which a preloaded library may have in its place.
class SyscallCalls final : public RawCalls {
  long call(long number, long a, long b, long c, long d, long e) override;
};

// By an instruction of this program's own: past any library.
class InlineCalls final : public RawCalls {
  long call(long number, long a, long b, long c, long d, long e) override;
};

}  // namespace linear
