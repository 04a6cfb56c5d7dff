// The caller of an i386 system call, as the operations see it. What they read or fill as a
// structure of x86-64 they find at addresses that no task can have: windows, behind which the
// caller's own structure is converted when it is read or filled. So EFAULT and EOVERFLOW come when
// the kernel's compat code has them, and an operation that fails leaves nothing behind.
#pragma once

#include "core/caller/caller.h"

namespace ovl {

class CompatCaller final : public Caller {
 public:
  enum Layout : uint8_t {
    // read
    kTimespecs,    // two of them
    kTimespecs64,  // likewise
    kTimevals,     // likewise
    kUtimbuf,
    kPointers,  // any number
    kMessage,   // msghdr
    kMessages,  // any number of mmsghdr, whose msg_len is filled
    // filled
    kOldStat,
    kStat,
    kStat64,
    kStatfs,
    kStatfs64,
    kDirents,    // records of getdents64(2) become those of getdents(2)
    kOldDirent,  // one record becomes that of readdir(2)
  };

  explicit CompatCaller(Caller& real) : real_(real) {}

  // An argument for an operation: the structure at this address of the caller; 0 for NULL. `room`:
  // of kDirents, in bytes.
  long window(Layout layout, long address, size_t room = 0);
  // The present call opens without O_LARGEFILE.
  void open_small_files() { small_files_ = true; }
  // For kOldDirent: where the entry stands that is read next.
  void set_position(uint64_t position) { position_ = position; }
  // What kDirents were converted to.
  size_t filled() const { return filled_; }

  Result<CStr> copy_in_path(Arena& arena, UserPath path) override;
  Result<void> copy_in(void* to, UserPtr<const void> from, size_t size) override;
  Result<void> copy_out(UserBuf to, const void* from, size_t size) override;
  Result<CStr> copy_in_string(Arena& arena, UserPath text, size_t limit) override;
  Outcome give_fd(UniqueFd fd, int flags) override;
  Result<void> has_room_for_fd() override { return real_.has_room_for_fd(); }
  Result<void> may_grow_to(uint64_t size) override { return real_.may_grow_to(size); }
  Error too_large_for_this_process() const override { return real_.too_large_for_this_process(); }
  bool is_compat() const override { return true; }
  Result<size_t> list_directory(int fd, void* out, size_t size) override;

  // As the caller has it.
  Result<CStr> cwd(Arena& arena) override { return real_.cwd(arena); }
  Result<CStr> fd_link(Arena& arena, int fd) override { return real_.fd_link(arena, fd); }
  Result<BorrowedFd> borrow(int fd) override { return real_.borrow(fd); }
  bool closes_on_exec(int fd) override { return real_.closes_on_exec(fd); }
  bool may_preload() override { return real_.may_preload(); }
  Result<void> fstat(int fd, struct stat* out) override { return real_.fstat(fd, out); }
  Credentials credentials() override { return real_.credentials(); }
  bool in_group(gid_t gid) override { return real_.in_group(gid); }
  mode_t umask() override { return real_.umask(); }
  At reach(Arena& arena, int dirfd, CStr path) override { return real_.reach(arena, dirfd, path); }
  Result<Str> proc_link(Arena& arena, CStr link) override { return real_.proc_link(arena, link); }
  uint64_t followed() override { return real_.followed(); }
  void set_followed(uint64_t count) override { real_.set_followed(count); }
  pid_t process() override { return real_.process(); }
  Result<DescriptorList> descriptors(Arena& arena) override { return real_.descriptors(arena); }
  bool share_open_file(int a, int b) override { return real_.share_open_file(a, b); }
  Result<void> replace_fd(int number, int with) override { return real_.replace_fd(number, with); }
  Result<void> replace_open_file(int old, const StatX& copy, Replacement& by) override {
    return real_.replace_open_file(old, copy, by);
  }
  void close_unneeded() override { real_.close_unneeded(); }
  bool may_hold_more() override { return real_.may_hold_more(); }
  Origin origin(Arena& arena) override { return real_.origin(arena); }
  void complain(Str line) override { real_.complain(line); }
  bool has_own_descriptors() const override { return real_.has_own_descriptors(); }
  uint64_t identity() const override { return real_.identity(); }
  Outcome open_for_caller(CStr path, int flags, mode_t mode, Opens what,
                          bool kernel_finds) override;
  Result<UniqueFd> open_of_task(CStr name) override { return real_.open_of_task(name); }
  Outcome change_directory(CStr path, bool kernel_finds) override {
    return real_.change_directory(path, kernel_finds);
  }
  Outcome execute(const ExecRequest& request) override { return real_.execute(request); }
  long raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) override;

 private:
  struct Window {
    Layout layout;
    uint32_t address;
    size_t room;
  };
  static constexpr int kWindowsMost = 2;  // execve's vectors

  const Window* window_at(uintptr_t address, size_t* offset) const;
  // The i386 structures behind a window, as an array of them.
  template <class Theirs, class Ours>
  Result<void> read(const Window& window, size_t offset, void* to, size_t size);
  template <class Theirs, class Ours>
  Result<void> fill(const Window& window, const void* from, size_t size);
  Result<void> fill_length(const Window& window, size_t offset, const void* from, size_t size);
  Result<void> fill_dirents(const Window& window, const void* from, size_t size);
  Result<void> fill_old_dirent(const Window& window, const void* from);

  Caller& real_;
  Window windows_[kWindowsMost];
  int window_count_ = 0;
  bool small_files_ = false;
  uint64_t position_ = 0;
  size_t filled_ = 0;
};

}  // namespace ovl
