// The caller that is this very task: the preload and the launcher. Kernel counterpart: current.
#pragma once

#include "core/caller/caller.h"

namespace ovl {

class LocalCaller : public Caller {
 public:
  Result<CStr> copy_in_path(Arena& arena, UserPath path) override;
  Result<void> copy_in(void* to, UserPtr<const void> from, size_t size) override;
  Result<void> copy_out(UserBuf to, const void* from, size_t size) override;
  Result<CStr> copy_in_string(Arena& arena, UserPath text, size_t limit) override;
  Result<CStr> cwd(Arena& arena) override;
  Result<CStr> fd_link(Arena& arena, int fd) override;
  Result<BorrowedFd> borrow(int fd) override;
  bool closes_on_exec(int fd) override;
  Result<void> fstat(int fd, struct stat* out) override;
  At reach(Arena& arena, int dirfd, CStr path) override;
  Result<Str> proc_link(Arena& arena, CStr link) override;
  uint64_t identity() const override { return 0; }
  Credentials credentials() override;
  bool in_group(gid_t gid) override;
  mode_t umask() override;
  void complain(Str line) override;
  Outcome give_fd(UniqueFd fd, int flags) override;
  Error too_large_for_this_process() const override { return Error(EMFILE); }
  Outcome open_for_caller(CStr real, int flags, mode_t mode, Opens what,
                          bool kernel_finds) override;
  Result<UniqueFd> open_of_task(CStr name) override;
  Outcome change_directory(CStr real, bool kernel_finds) override;
  Outcome execute(const ExecRequest& request) override;
  uint64_t followed() override;
  void set_followed(uint64_t count) override;
  bool owns_memory() override;
  pid_t process() override;
  Result<DescriptorList> descriptors(Arena& arena) override;
  bool share_open_file(int a, int b) override;
  Result<void> replace_fd(int number, int with) override;
  long raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) override;

 private:
  uint64_t forgotten_ = 0;  // how often this process had, when it was last asked
};

}  // namespace ovl
