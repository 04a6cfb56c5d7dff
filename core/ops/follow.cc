// See follow.h.
#include "core/ops/follow.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "core/caller/followed.h"
#include "core/copy_up/copy_up.h"
#include "core/names/nameless.h"
#include "core/ops/follow_mappings.h"
#include "core/session/lock.h"
#include "core/sys/no_symlinks.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

// Two threads of a process would put back each other's position. The supervisor never waits for the
// process that it serves: that one is at it itself, and may be waiting for this answer. It waits
// for others, a while: a thread of its own that serves another thread, or a process with the same
// word, which may have been stopped.
class Following {
 public:
  Following(const Session& session, Caller& caller)
      : word_(session.state().follow[static_cast<uint32_t>(caller.process()) % kFollowLocks]),
        self_(static_cast<uint32_t>(sys_gettid())) {
    const uint64_t all = ~uint64_t{0};
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof all);
    if (!caller.has_own_descriptors()) {
      lock_word(word_, self_);
      held_ = true;
    } else {
      held_ = take_from_others(caller);
    }
  }
  ~Following() {
    if (held_) unlock_word(word_, self_);
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
  }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;
  bool held() const { return held_; }

 private:
  bool take_from_others(Caller& caller) {
    constexpr int kPatience = 100;
    const timespec a_little = {0, 200'000};
    for (int i = 0; i < kPatience; i++) {
      uint32_t seen = 0;
      if (word_.compare_exchange_strong(seen, self_, std::memory_order_acquire)) return true;
      const uint32_t owner = seen & FUTEX_TID_MASK;
      // Killed meanwhile. Where somebody waits, the kernel gives it to that one.
      if ((seen & FUTEX_WAITERS) == 0 && raw_call(SYS_tkill, owner, 0) == -ESRCH &&
          word_.compare_exchange_strong(seen, self_, std::memory_order_acquire))
        return true;
      if (raw_call(SYS_tgkill, caller.process(), owner, 0) == 0) return false;
      raw_call(SYS_nanosleep, &a_little, nullptr);
    }
    return false;
  }

  LockWord& word_;
  const uint32_t self_;
  bool held_;
  uint64_t old_mask_ = 0;
};

struct Stale {
  int fd;
  StatX file;  // of the lower
  CStr copy;
  StatX copy_is;
  bool done;
};

// What open(2) takes of what F_GETFL tells: none of these makes or empties anything.
constexpr int kKept = O_APPEND | O_ASYNC | O_NONBLOCK | O_DIRECT | O_NOATIME | O_NOFOLLOW | O_SYNC |
                      0100000 /* O_LARGEFILE */;

bool attributes(Caller& caller, int fd, StatX* out) {
  struct stat st;
  if (!caller.fstat(fd, &st).ok()) return false;
  out->stx_dev_major = major(st.st_dev);
  out->stx_dev_minor = minor(st.st_dev);
  out->stx_ino = st.st_ino;
  out->stx_mode = static_cast<uint16_t>(st.st_mode);
  return true;
}

// Of a descriptor on a lower; nullptr: it is on none, or there is nothing else.
Result<const Node*> node_or_copy(Op& op, int fd) {
  const FdNode found = TRY(node_of_fd(op, fd));
  if (!found.on_lower) return nullptr;
  // A descriptor on the index would tell nobody what the file is called.
  if (found.node != nullptr && !found.node->index.empty())
    return copy_up(op, *found.node, Data::kNone);
  if (found.node != nullptr || !found.detached) return found.node;
  const BorrowedFd borrowed = TRY(op.caller().borrow(fd));
  return TRY(nameless_copy(op, found, borrowed.get())).node;
}

// Is this descriptor on a lower's file whose data is in the upper by now?
bool is_stale(Op& op, int fd, Stale* out) {
  StatX file;
  if (!attributes(op.caller(), fd, &file) || !S_ISREG(file.stx_mode)) return false;
  if (!may_have_readers(op.session(), file)) return false;
  const Result<const Node*> found = node_or_copy(op, fd);
  if (!found.ok() || found.value() == nullptr) return false;
  const Node& node = *found.value();
  if (node.outside() || !node.is_regular() || !node.has_upper_inode() || node.metacopy())
    return false;
  *out = Stale{fd, file, node.top(), node.real, false};
  return true;
}

// The copy, open as the descriptor is; its position is that one's.
Result<UniqueFd> open_copy(const Stale& stale, int old) {
  const long flags = TRY(checked(raw_call(SYS_fcntl, old, F_GETFL)));
  if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH) != 0) return Error(EBADF);
  UniqueFd copy = TRY(sys_open_no_symlinks(stale.copy, static_cast<int>(flags) & kKept));
  StatX st;
  TRY(sys_fstat(copy.get(), &st));
  if (!same_inode(st, stale.copy_is)) return Error(ESTALE);
  const off_t at = TRY(sys_lseek(old, 0, SEEK_CUR));
  TRY(sys_lseek(copy.get(), at, SEEK_SET));
  return copy;
}

// Has the caller one of the copies open already? Its own record locks on that go when it closes any
// descriptor of it, so it can't be the one that opens the copy for a moment.
bool may_have_locks(Op& op, const DescriptorList& list, const Stale* stale, uint32_t count) {
  if (count == 0 || op.caller().has_own_descriptors()) return false;
  for (uint32_t i = 0; i < list.count; i++) {
    StatX file;
    if (!attributes(op.caller(), list.numbers[i], &file)) continue;
    for (uint32_t k = 0; k < count; k++)
      if (same_inode(file, stale[k].copy_is)) return true;
  }
  return false;
}

// Descriptors that share one open file share its copy, too.
Result<void> follow(Op& op, Stale* all, uint32_t count, uint32_t first) {
  Caller& caller = op.caller();
  const BorrowedFd old = TRY(caller.borrow(all[first].fd));
  const UniqueFd copy = TRY(open_copy(all[first], old.get()));
  // From the last to the first: the descriptor that the others are compared with goes last.
  for (uint32_t i = count; i-- > first;) {
    Stale& stale = all[i];
    if (stale.done || !same_inode(stale.file, all[first].file)) continue;
    if (i != first && !caller.share_open_file(all[first].fd, stale.fd)) continue;
    // Another thread may have closed it, and opened something else.
    StatX now;
    if (!attributes(caller, stale.fd, &now) || !same_inode(now, stale.file)) continue;
    stale.done = true;
    TRY(caller.replace_fd(stale.fd, copy.get()));
  }
  return {};
}

// A directory's descriptors are replaced as long as nothing was read by them: positions are its
// own.
Result<void> follow_directory(Op& op, int fd, const StatX& dir, const Node& node) {
  const Following following(op.session(), op.caller());
  if (!following.held()) return Error(EAGAIN);
  const DescriptorList list = TRY(op.caller().descriptors(op.arena()));
  Stale* stale = op.arena().array<Stale>(list.count);
  if (stale == nullptr) return Error(ENOMEM);
  stale[0] = Stale{fd, dir, node.upper, node.real, false};
  uint32_t count = 1;
  for (uint32_t i = 0; i < list.count; i++) {
    StatX file;
    if (list.numbers[i] == fd || !attributes(op.caller(), list.numbers[i], &file) ||
        !same_inode(file, dir))
      continue;
    stale[count] = stale[0];
    stale[count++].fd = list.numbers[i];
  }
  return follow(op, stale, count, 0);
}

Result<void> bring_directory(Op& op, int fd, int own, const FdNode& found, const StatX& dir) {
  if (found.node == nullptr || TRY(sys_lseek(own, 0, SEEK_CUR)) != 0) return {};
  const Node* node = TRY(copy_up(op, *found.node, Data::kNone));
  return follow_directory(op, fd, dir, *node);
}

Result<void> bring_file(Op& op, int fd, int own, const FdNode& found) {
  if (found.node != nullptr)
    TRY(copy_up(op, *found.node, Data::kAll));
  else
    TRY(bring_nameless(op, found, own));
  follow_if_stale(op);
  return TRY(node_of_fd(op, fd)).on_lower ? Result<void>(Error(ENOTSUP)) : Result<void>();
}

}  // namespace

Result<bool> can_be_brought(Op& op, int fd) {
  StatX st;
  if (!attributes(op.caller(), fd, &st)) return Error(EBADF);
  if (!S_ISDIR(st.stx_mode) && (!S_ISREG(st.stx_mode) || !may_have_readers(op.session(), st)))
    return false;
  const FdNode found = TRY(node_of_fd(op, fd));
  if (!found.on_lower || found.overlay->upper_layer == nullptr) return false;
  const BorrowedFd borrowed = TRY(op.caller().borrow(fd));
  return (TRY(checked(raw_call(SYS_fcntl, borrowed.get(), F_GETFL))) & O_PATH) == 0;
}

Result<void> bring_descriptor(Op& op, int fd) {
  StatX st;
  if (!attributes(op.caller(), fd, &st)) return Error(EBADF);
  const FdNode found = TRY(node_of_fd(op, fd));
  if (!found.on_lower) return {};
  const BorrowedFd borrowed = TRY(op.caller().borrow(fd));
  return S_ISDIR(st.stx_mode) ? bring_directory(op, fd, borrowed.get(), found, st)
                              : bring_file(op, fd, borrowed.get(), found);
}

bool follow_copies(Op& op, HandOver hand_over) {
  Caller& caller = op.caller();
  if (!local_follows()) return true;
  const Following following(op.session(), caller);
  if (!following.held()) return true;
  const uint64_t count = stale_count(op.session());
  if (caller.followed() == count) return true;  // another thread was faster
  bool settled = stale_settled(op.session(), count);
  const Result<DescriptorList> list = caller.descriptors(op.arena());
  if (!list.ok()) return list.error() != EMFILE;
  Stale* stale = op.arena().array<Stale>(list.value().count);
  if (stale == nullptr) return true;
  bool room = true;
  uint32_t found = 0;
  for (uint32_t i = 0; i < list.value().count; i++)
    if (is_stale(op, list.value().numbers[i], &stale[found])) found++;
  if (hand_over == HandOver::kYes && op.session().segment().supervised != 0 &&
      may_have_locks(op, list.value(), stale, found))
    return false;
  for (uint32_t i = 0; i < found; i++) {
    if (stale[i].done) continue;
    const Result<void> r = follow(op, stale, found, i);
    if (!r.ok() && (r.error() == EMFILE || r.error() == ENFILE || r.error() == ENOMEM))
      settled = false;  // there may be room the next time
    if (!r.ok() && r.error() == EMFILE) room = false;
  }
  follow_mappings(op);
  if (settled) caller.set_followed(count);
  return room;
}

}  // namespace ovl
