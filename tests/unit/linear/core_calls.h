// Calls made by the core, in this process.
#pragma once

#include "core/caller/local_caller.h"
#include "core/ops/ops.h"
#include "tests/unit/linear/perform.h"

namespace linear {

class CoreCalls final : public Calls {
 public:
  explicit CoreCalls(ovl::Session& session) : session_(session) {}
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
  template <auto op_function, class... Args>
  long run(Args... args);

  ovl::Session& session_;
  ovl::LocalCaller caller_;
};

}  // namespace linear
