// The only view that an operation has of who is asking. LocalCaller: this very task (preload,
// launcher). RemoteCaller (supervisor): another task that is blocked in its system call.
// FakeCaller: tests. An op never asks which it is: a difference between them becomes a method here.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/base/str.h"
#include "core/base/unique_fd.h"
#include "core/sys/sys.h"

namespace ovl {

// An address in the caller's memory. Not to be dereferenced: it goes through
// Caller::copy_in/copy_out.
template <class T>
class UserPtr {
 public:
  constexpr UserPtr() = default;
  constexpr explicit UserPtr(uintptr_t address) : address_(address) {}
  constexpr explicit UserPtr(T* pointer) : address_(reinterpret_cast<uintptr_t>(pointer)) {}
  constexpr uintptr_t address() const { return address_; }
  constexpr bool null() const { return address_ == 0; }
  template <class U>
  constexpr UserPtr<U> as() const {
    return UserPtr<U>(address_);
  }

 private:
  uintptr_t address_ = 0;
};

using UserPath = UserPtr<const char>;
using UserBuf = UserPtr<void>;

// What an operation comes to: a value for the program, -errno for the program, or native: "not
// ours, run the original arguments" (a raw call in the preload, *continue* in the supervisor).
class [[nodiscard]] Outcome {
 public:
  static Outcome native() { return Outcome(0, true); }
  // NOLINTNEXTLINE(google-explicit-constructor)
  Outcome(long value) : value_(value), native_(false) {}
  // NOLINTNEXTLINE(google-explicit-constructor): TRY in an op returns Error
  Outcome(Error e) : value_(-e.code()), native_(false) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Outcome(const Result<void>& r) : value_(-r.error()), native_(false) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Outcome(const Result<long>& r) : value_(r.ok() ? r.value() : -r.error()), native_(false) {}

  bool is_native() const { return native_; }
  long value() const { return value_; }  // as the system call returns it: -errno on failure

 private:
  Outcome(long value, bool native) : value_(value), native_(native) {}
  long value_;
  bool native_;
};

struct Credentials {
  uid_t fsuid;
  gid_t fsgid;
  bool override_dac;  // CAP_DAC_OVERRIDE in effect (uid 0, as far as one can see without asking
                      // more)
};

// A descriptor of the caller, usable in this process for the moment of one operation.
class BorrowedFd {
 public:
  BorrowedFd() = default;
  explicit BorrowedFd(int fd) : fd_(fd) {}  // the caller's own number (local)
  explicit BorrowedFd(UniqueFd dup) : fd_(dup.get()), owned_(std::move(dup)) {}
  int get() const { return fd_; }

 private:
  int fd_ = -1;
  UniqueFd owned_;
};

struct ExecRequest {
  int dirfd;          // AT_FDCWD, or a descriptor of the caller
  CStr file;          // real path, or the caller's own words relative to dirfd
  int flags;          // as execveat(2)
  char* const* argv;  // this process's memory, NULL-terminated
  char* const* envp;  // likewise
  // What the program is to find as its name in AT_EXECFN, no longer than `file`. Empty: as it
  // comes. A caller that can't reach into the new program leaves it.
  Str called;
};

struct DescriptorList {
  const int* numbers;
  uint32_t count;
};

// Who asks, for --trace.
struct Origin {
  pid_t task;  // tid
  // A call that the preload should have seen: the program's name, then the calling functions, one
  // per line. Empty: nothing to tell.
  Str stack;
  // The caller may have its answer, and even have ended, before the operation returns.
  bool runs_on = false;
};

class Caller {
 public:
  // Memory. Errors: EFAULT; copy_in_path also ENAMETOOLONG (no NUL within PATH_MAX). "" is a valid
  // result.
  virtual Result<CStr> copy_in_path(Arena& arena, UserPath path) = 0;
  virtual Result<void> copy_in(void* to, UserPtr<const void> from, size_t size) = 0;
  virtual Result<void> copy_out(UserBuf to, const void* from, size_t size) = 0;
  // Reads a string of any length up to `limit` (argv, envp). Errors: EFAULT, E2BIG.
  virtual Result<CStr> copy_in_string(Arena& arena, UserPath text, size_t limit) = 0;

  // Real path of the current directory, as getcwd(2) tells ("(unreachable)/..." is ENOENT), however
  // long.
  virtual Result<CStr> cwd(Arena& arena) = 0;
  // What /proc/<task>/fd/<fd> links to ("pipe:[5]" and " (deleted)" included). EBADF.
  virtual Result<CStr> fd_link(Arena& arena, int fd) = 0;
  virtual Result<BorrowedFd> borrow(int fd) = 0;  // EBADF
  virtual bool closes_on_exec(int fd) = 0;        // FD_CLOEXEC; false where there is none
  // fstat(2), as the kernel tells it. EBADF.
  virtual Result<void> fstat(int fd, struct stat* out) = 0;
  // What (dirfd, path) of the caller's own words names, for a call of this process.
  virtual At reach(Arena& arena, int dirfd, CStr path) = 0;
  // What /proc/self and /proc/thread-self link to for the caller. `link` is one of the two.
  virtual Result<Str> proc_link(Arena& arena, CStr link) = 0;
  // May an operation open descriptors here that it could do without? Not where they stand among the
  // caller's own: another thread's fork would keep them.
  virtual bool has_own_descriptors() const { return false; }
  // Tells callers apart whose descriptors have nothing to do with one another.
  virtual uint64_t identity() const = 0;
  virtual Credentials credentials() = 0;
  // Is the caller a member of this group (fsgid or supplementary)?
  virtual bool in_group(gid_t gid) = 0;
  // The umask, for the rare creation whose mode cannot be left to the kernel.
  virtual mode_t umask() = 0;

  // A message for whoever runs the program: to its standard error. For what only a person can mend.
  virtual void complain(Str line) = 0;

  // Results that change the task.
  // Gives a descriptor to the caller: its number there. flags: O_CLOEXEC or 0.
  virtual Outcome give_fd(UniqueFd fd, int flags) = 0;
  // Asked before something is made or emptied on the way to a descriptor. EMFILE: give_fd() would
  // fail. A caller whose own open(2) makes and gives in one has nothing to say here.
  virtual Result<void> has_room_for_fd() { return {}; }
  // RLIMIT_FSIZE, where this process's own is not the caller's. EFBIG, with the signal sent.
  // Kernel counterpart: inode_newsize_ok().
  virtual Result<void> may_grow_to(uint64_t) { return {}; }
  // How an operation ends that would write a larger file, on the overlay's own account, than
  // RLIMIT_FSIZE lets this process write. EMFILE: the limit is the program's, and the supervisor is
  // to do it instead (the preload hands calls over that end so). EFBIG: this is the supervisor.
  virtual Error too_large_for_this_process() const = 0;
  // Opens for the caller what may block (FIFO, device, lease) or is not the core's business:
  // `flags` with no O_CREAT effect left to decide. Cancellable as open(2) is. Returns the
  // descriptor. `kernel_finds`: the caller's own words lead there too (Walked).
  enum class Opens : uint8_t { kStored /* a file, directory or symlink of a layer */, kAnything };
  virtual Outcome open_for_caller(CStr real, int flags, mode_t mode, Opens what,
                                  bool kernel_finds) = 0;
  // A descriptor of this process for what procfs tells of a task, with no more rights to be told it
  // than the caller has.
  virtual Result<UniqueFd> open_of_task(CStr name) = 0;
  virtual Outcome change_directory(CStr real, bool kernel_finds) = 0;
  virtual Outcome execute(const ExecRequest& request) = 0;
  // Could the preload object make its own calls in a program that the caller becomes? Not below a
  // filter of the program's own, which knows nothing of them.
  virtual bool may_preload() { return true; }
  // The system call on a real path in the caller's own context, for what must be done by the task
  // itself (connect, bind, inotify_add_watch ... on a descriptor of its own). Same number and
  // meaning as raw_call.
  virtual long raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) = 0;

  // --- descriptors that follow their file (ops/follow.h) ---
  // Up to which count of stale ones its descriptors are known to have followed.
  virtual uint64_t followed() { return 0; }
  virtual void set_followed(uint64_t) {}
  virtual pid_t process() { return 0; }  // its number
  // Is this task the only one that changes what the process has mapped?
  virtual bool owns_memory() { return false; }
  // All that are open.
  virtual Result<DescriptorList> descriptors(Arena&) { return Error(ENOSYS); }
  // Are both one open file description? False where that can't be told.
  virtual bool share_open_file(int, int) { return false; }
  // What `with`, of this process, is open on takes the place of the caller's descriptor, which
  // keeps FD_CLOEXEC.
  virtual Result<void> replace_fd(int, int /*with*/) { return Error(ENOSYS); }
  // How one open file takes the place of another.
  class Replacement {
   public:
    virtual Result<UniqueFd> open() = 0;
    virtual Result<void> put(int with) = 0;  // in the place of all of the caller's descriptors

   protected:
    ~Replacement() = default;
  };
  // Replaces the open file `old`, a descriptor of this process, by one on `copy`: by the same for
  // all who share it, where that can be. close_unneeded() has to follow.
  virtual Result<void> replace_open_file(int /*old*/, const StatX& /*copy*/, Replacement& by) {
    const UniqueFd with = TRY(by.open());
    return by.put(with.get());
  }
  // Open files that are held for those who still have the old ones are let go of if nobody has.
  virtual void close_unneeded() {}
  // False: there is no room to hold one more. Who locks it would lock it for itself alone.
  virtual bool may_hold_more() { return true; }
  // The supervisor makes the caller's descriptors follow. Errors: ENOSYS: nobody does; EAGAIN: it
  // is to be asked again before the next time that something is read.
  virtual Result<void> ask_to_follow() { return Error(ENOSYS); }

  virtual Origin origin(Arena&) { return {sys_gettid(), Str()}; }

  // Did the caller make a system call of a 32-bit program? Then its files are small unless it says
  // O_LARGEFILE, and positions in directories have 31 bits. Kernel counterpart:
  // in_compat_syscall().
  virtual bool is_compat() const { return false; }
  // getdents64(2) on a descriptor of this process, with such positions as the caller's own call
  // would get: file systems know shorter ones for 32-bit programs.
  virtual Result<size_t> list_directory(int fd, void* out, size_t size) {
    return sys_getdents64(fd, out, size);
  }

 protected:
  ~Caller() = default;
};

}  // namespace ovl
