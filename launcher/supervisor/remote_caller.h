// The caller that is another task, blocked in its system call: what the supervisor serves. Its
// memory, cwd and descriptors are seen from outside; what only the task itself can do, it does with
// the assist. Kernel counterpart: current.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <optional>
#include <string>

#include "core/caller/caller.h"
#include "launcher/supervisor/assist.h"
#include "launcher/supervisor/crew.h"
#include "launcher/supervisor/followed_tasks.h"
#include "launcher/supervisor/held_files.h"
#include "launcher/supervisor/notification.h"
#include "launcher/supervisor/task.h"

namespace ovl {

// What all callers of a session have in common.
struct RemoteContext {
  Assist& assist;
  Crew& crew;
  HeldFiles& held;
  bool strict;     // nothing that a path decides is left to the task's own memory
  TaskStatus own;  // of the supervisor: who all tasks are to begin with
  std::atomic<bool> credentials_change{false};  // some task's may have
  FollowedTasks followed;
};

class RemoteCaller final : public Caller {
 public:
  RemoteCaller(Notification& call, RemoteContext& context);

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
  bool has_own_descriptors() const override { return true; }
  uint64_t identity() const override { return static_cast<uint64_t>(call_.tid()); }
  Credentials credentials() override;
  bool in_group(gid_t gid) override;
  mode_t umask() override;
  void complain(Str line) override;
  Outcome give_fd(UniqueFd fd, int flags) override;
  Result<void> has_room_for_fd() override;
  Result<void> may_grow_to(uint64_t size) override;
  Error too_large_for_this_process() const override { return Error(EFBIG); }
  Outcome open_for_caller(CStr real, int flags, mode_t mode, Opens what,
                          bool kernel_finds) override;
  Result<UniqueFd> open_of_task(CStr name) override;
  Outcome change_directory(CStr real, bool kernel_finds) override;
  Outcome execute(const ExecRequest& request) override;
  bool may_preload() override;
  long raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) override;
  Origin origin(Arena& arena) override;
  uint64_t followed() override { return context_.followed.of(call_.tid()); }
  void set_followed(uint64_t count) override { context_.followed.set(call_.tid(), count); }
  // It has descriptors that nobody has looked at.
  pid_t process() override;
  Result<DescriptorList> descriptors(Arena& arena) override;
  bool share_open_file(int a, int b) override;
  Result<void> replace_fd(int number, int with) override;
  Result<void> replace_open_file(int old, const StatX& copy, Replacement& by) override {
    return context_.held.replace(old, copy, by);
  }
  void close_unneeded() override { context_.held.close_unneeded(); }
  bool may_hold_more() override { return context_.held.has_room(); }

  CallAbi abi() const;
  // ESRCH: it is gone.
  Result<const TaskStatus*> status();
  // Of its credentials alone; nullptr: it is gone.
  const TaskStatus* who();

 private:
  Result<pid_t> thread_group();
  Result<void> read_page(uintptr_t page);
  Result<CStr> link_of(Arena& arena, const std::string& link);
  // The task makes the call; `-errno` where it can't be made to.
  long assist(const TaskCall& call);
  // remote_sockets.cc
  long connect(int fd, const void* address, size_t size);
  long send_one(int fd, const msghdr& head, const std::string& iovec, int flags);
  long send_to(int fd, unsigned long data, size_t size, int flags, void* address,
               unsigned address_size);
  long send_message(int fd, const void* message, int flags);
  long send_messages(int fd, const void* messages, size_t count, int flags, unsigned long there);
  bool may_block(CStr real, int flags) const;
  Outcome open_itself(const At& at, int flags, mode_t mode);
  // A path that leads the task to what is at `at` for us, as long as that lives.
  static std::string name_for_task(const At& at);

  Notification& call_;
  RemoteContext& context_;
  std::optional<TaskStatus> status_;
  uintptr_t page_at_ = 1;  // of page_: no page begins there
  char page_[4096];
};

}  // namespace ovl
