// flock(2), and the locks of fcntl(2). They are on an inode: all have to mean the same one, so a
// lower's object comes to the upper when it is locked, and the descriptor with it. Kernel
// counterpart: an overlay's inode, which is one whatever is below it.
//
// A lock of flock(2) belongs to the open file, and lasts as long as somebody has that: a shell that
// opens a script and lets flock(1) lock it (`exec 9<"$0"; flock 9`) holds the lock. The supervisor
// gives all of them the same copy, and holds that for those who have the lower's still. Without
// one, a process can give nobody but itself the copy, so such a lock is taken on the lower's
// object; and so are those of others, who find it locked, until it is free again.
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/file.h>

#include "core/format/numbers.h"
#include "core/ops/follow.h"
#include "core/ops/lock_commands.h"
#include "core/ops/ops.h"

namespace ovl {
namespace {

// 0: of another pid name space, or it can't be told.
pid_t parent_of(pid_t process) {
  char name[32] = "/proc/";
  char* w = name + strlen(name);
  w += put_number(w, static_cast<uint64_t>(process), 10, 1);
  memcpy(w, "/stat", 6);
  char text[128];
  const Result<UniqueFd> fd = sys_openat(CStr(name, strlen(name)), O_RDONLY);
  if (!fd.ok()) return 0;
  const Result<size_t> n = sys_read(fd.value().get(), text, sizeof text);
  if (!n.ok()) return 0;
  size_t at = n.value();  // behind the program's name, which may hold anything
  while (at > 0 && text[at - 1] != ')') at--;
  pid_t parent = 0;
  for (at += 3 /* the state */; at < n.value() && text[at] >= '0' && text[at] <= '9'; at++)
    parent = parent * 10 + (text[at] - '0');
  return parent;
}

// Does the parent have the same open file by this number?
bool shares_with_parent(Op& op, int fd) {
  const pid_t self = op.caller().process();
  const pid_t parent = parent_of(self);
  return parent != 0 && raw_call(SYS_kcmp, self, parent, KCMP_FILE, fd, fd) == 0;
}

// The lower's object, locked while a descriptor on it is replaced.
class LockedLower {
 public:
  ~LockedLower() {
    if (fd_.valid()) raw_call(SYS_flock, fd_.get(), LOCK_UN);
  }
  LockedLower() = default;
  LockedLower(const LockedLower&) = delete;
  LockedLower& operator=(const LockedLower&) = delete;

  // False: somebody has locked it.
  Result<bool> take(Op& op, int fd) {
    const BorrowedFd borrowed = TRY(op.caller().borrow(fd));
    UniqueFd own(
        static_cast<int>(TRY(checked(raw_call(SYS_fcntl, borrowed.get(), F_DUPFD_CLOEXEC, 0)))));
    const Result<void> r = checked_void(raw_call(SYS_flock, own.get(), LOCK_EX | LOCK_NB));
    if (!r.ok() && r.error() == EWOULDBLOCK) return false;
    TRY(r);
    fd_ = std::move(own);
    return true;
  }

 private:
  UniqueFd fd_;
};

// EBADF; EMFILE: no descriptor is free, nor was one for whoever asks the supervisor; ENOLCK: the
// object can't be brought to the upper.
Error refusal(int error) { return Error(error == EBADF || error == EMFILE ? error : ENOLCK); }

Outcome lock_brought(Op& op, int fd) {
  const Result<void> r = bring_descriptor(op, fd);
  // What has lost its name and can have no copy: all who have it open are on the lower's.
  if (!r.ok() && r.error() == EROFS) return Outcome::native();
  return r.ok() ? Outcome::native() : Outcome(refusal(r.error()));
}

// Is something held for others, which may have a lock that nobody wants any more, or be what this
// descriptor has to become? Then the supervisor looks at that first.
bool is_anything_held(Op& op) { return op.session().state().held_files.load() != 0; }

// Of a directory that was read from by this descriptor the lower's object is locked.
Result<bool> may_lock_lower(Op& op, int fd) {
  struct stat st;
  TRY(op.caller().fstat(fd, &st));
  return S_ISDIR(st.st_mode) || op.session().segment().supervised == 0;
}

}  // namespace

Outcome op_flock(Op& op, int fd, int how) {
  follow_if_stale(op);
  if (is_anything_held(op)) {
    if (can_ask_supervisor(op)) return Error(EMFILE);
    op.caller().close_unneeded();
    follow_shared_directory(op, fd);
  }
  if ((how & LOCK_UN) != 0) return Outcome::native();
  const Result<bool> on_lower = can_be_brought(op, fd);
  if (!on_lower.ok()) return refusal(on_lower.error());
  if (!on_lower.value()) return Outcome::native();
  if (!op.caller().may_hold_more()) return Error(ENOLCK);
  if (!TRY(may_lock_lower(op, fd))) return lock_brought(op, fd);
  if (op.session().segment().supervised == 0 && shares_with_parent(op, fd))
    return Outcome::native();
  if (can_ask_supervisor(op)) return Error(EMFILE);
  LockedLower lower;
  const Result<bool> free = lower.take(op, fd);
  if (!free.ok()) return refusal(free.error());
  return free.value() ? lock_brought(op, fd) : Outcome::native();
}

Outcome op_fcntl(Op& op, int fd, unsigned command, UserBuf) {
  if (!is_lock_command(command)) return Outcome::native();
  follow_if_stale(op);
  if (is_of_open_file(command) && is_anything_held(op)) {
    if (can_ask_supervisor(op)) return Error(EMFILE);
    op.caller().close_unneeded();
  }
  if (tells_of_locks(command)) return Outcome::native();
  const Result<bool> on_lower = can_be_brought(op, fd);
  if (!on_lower.ok()) return refusal(on_lower.error());
  if (!on_lower.value()) return Outcome::native();
  if (is_of_open_file(command) && !op.caller().may_hold_more()) return Error(ENOLCK);
  return lock_brought(op, fd);
}

}  // namespace ovl
