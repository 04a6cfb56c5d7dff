// See follow.h.
#include "core/ops/follow.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/caller/followed.h"
#include "core/copy_up/copy_up.h"
#include "core/copy_up/data.h"
#include "core/names/nameless.h"
#include "core/ops/follow_mappings.h"
#include "core/session/lock.h"
#include "core/sys/no_symlinks.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

class BlockedSignals {
 public:
  BlockedSignals() {
    const uint64_t all = ~uint64_t{0};
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old_mask_, sizeof all);
  }
  ~BlockedSignals() {
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  uint64_t old_mask_ = 0;
};

// Two threads of a process would put back each other's position. (The supervisor needs none of
// this: Caller::replace_open_file() does one at a time.) Requires: signals are blocked.
class Following {
 public:
  Following(const Session& session, Caller& caller)
      : word_(session.state().follow[static_cast<uint32_t>(caller.process()) % kFollowLocks]),
        self_(static_cast<uint32_t>(sys_gettid())) {
    lock_word(word_, self_);
  }
  ~Following() { unlock_word(word_, self_); }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

 private:
  LockWord& word_;
  const uint32_t self_;
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
bool is_stale(Op& op, int fd, const StaleFiles& files, Stale* out) {
  StatX file;
  if (!attributes(op.caller(), fd, &file) || !S_ISREG(file.stx_mode)) return false;
  if (!files.may_have(file) || !may_have_readers(op.session(), file)) return false;
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
  // Another thread reads the lower's data by it, whatever the copy may hold by now.
  if (is_of_copy_up(static_cast<int>(flags))) return Error(EBADF);
  UniqueFd copy = TRY(sys_open_no_symlinks(stale.copy, static_cast<int>(flags) & kKept));
  StatX st;
  TRY(sys_fstat(copy.get(), &st));
  if (!same_inode(st, stale.copy_is)) return Error(ESTALE);
  const off_t at = TRY(sys_lseek(old, 0, SEEK_CUR));
  TRY(sys_lseek(copy.get(), at, SEEK_SET));
  return copy;
}

// Stale descriptors that share one open file share its copy, too.
class Switch final : public Caller::Replacement {
 public:
  Switch(Op& op, Stale* all, uint32_t count, uint32_t first)
      : caller_(op.caller()), all_(all), count_(count), first_(first) {}

  Result<void> run() { return run(*this); }
  Result<void> run(Replacement& by) {
    const BorrowedFd old = TRY(caller_.borrow(all_[first_].fd));
    old_ = old.get();
    StatX now;
    TRY(sys_fstat(old_, &now));
    if (!same_inode(now, all_[first_].file)) return {};  // another thread was faster
    return caller_.replace_open_file(old_, all_[first_].copy_is, by);
  }

  Result<UniqueFd> open() override { return open_copy(all_[first_], old_); }

  Result<void> put(int with) override {
    // From the last to the first: the descriptor that the others are compared with goes last.
    for (uint32_t i = count_; i-- > first_;) {
      Stale& stale = all_[i];
      if (stale.done || !same_inode(stale.file, all_[first_].file)) continue;
      if (i != first_ && !caller_.share_open_file(all_[first_].fd, stale.fd)) continue;
      // Another thread may have closed it, and opened something else.
      StatX now;
      if (!attributes(caller_, stale.fd, &now) || !same_inode(now, stale.file)) continue;
      stale.done = true;
      TRY(caller_.replace_fd(stale.fd, with));
    }
    return {};
  }

 private:
  Caller& caller_;
  Stale* const all_;
  const uint32_t count_, first_;
  int old_ = -1;
};

// To be replaced by what another process that shares it has got, or not at all.
class SharedSwitch final : public Caller::Replacement {
 public:
  explicit SharedSwitch(Replacement& by) : by_(by) {}
  Result<UniqueFd> open() override { return Error(ENOENT); }
  Result<void> put(int with) override { return by_.put(with); }

 private:
  Replacement& by_;
};

struct Found {
  Stale* all = nullptr;
  uint32_t count = 0;
};

// Errors: EMFILE: there is no descriptor free to look by; EACCES: the process became another user's
// without an exec.
Result<Found> find_stale(Op& op, uint64_t count) {
  const StaleFiles files(op.session(), op.caller().followed(), count);
  const DescriptorList list = TRY(op.caller().descriptors(op.arena()));
  Found found{op.arena().array<Stale>(list.count), 0};
  if (found.all == nullptr) return Error(ENOMEM);
  for (uint32_t i = 0; i < list.count; i++)
    if (is_stale(op, list.numbers[i], files, &found.all[found.count])) found.count++;
  return found;
}

// What became of one look for stale descriptors.
struct Look {
  bool settled = true;  // nothing is left to be done
  bool moved = false;   // a copy had another name by the time it was opened
};

Look follow_once(Op& op, uint64_t count) {
  Look look;
  const Result<Found> found = find_stale(op, count);
  if (!found.ok()) return Look{false, false};
  const Found& stale = found.value();
  for (uint32_t i = 0; i < stale.count; i++) {
    if (stale.all[i].done) continue;
    const Result<void> r = Switch(op, stale.all, stale.count, i).run();
    if (r.ok()) continue;
    const int error = r.error();
    // There may be room the next time.
    if (error == EMFILE || error == ENFILE || error == ENOMEM) look.settled = false;
    if (error == ENOENT || error == ENOTDIR || error == ESTALE) look.moved = true;
  }
  if (stale.count != 0) op.caller().close_unneeded();
  return look;
}

void follow_here(Op& op) {
  constexpr int kLooksMost = 10;
  Caller& caller = op.caller();
  const uint64_t count = stale_count(op.session());
  if (caller.followed() == count) return;  // another thread was faster
  const bool settled = stale_settled(op.session(), count);
  Look look = follow_once(op, count);
  for (int i = 1; i < kLooksMost && look.moved; i++) look = follow_once(op, count);
  follow_mappings(op);
  if (settled && look.settled) caller.set_followed(count);
}

// False: it does not answer.
bool follow_by_supervisor(Op& op) {
  Caller& caller = op.caller();
  const uint64_t count = stale_count(op.session());
  if (caller.followed() == count) return true;
  bool settled = stale_settled(op.session(), count);
  const Result<Found> found = find_stale(op, count);
  if (!found.ok() || found.value().count != 0) {
    const Result<void> asked = caller.ask_to_follow();
    if (asked.error() == ENOSYS) return false;
    settled = settled && asked.ok();
  }
  follow_mappings(op);
  if (settled) caller.set_followed(count);
  return true;
}

// A directory's descriptors are replaced as long as nothing was read by them: positions are its
// own.
enum class Directory { kAny, kShared };
Result<void> follow_directory(Op& op, int fd, const StatX& dir, const Node& node, Directory which) {
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
  Switch one(op, stale, count, 0);
  SharedSwitch shared(one);
  const Result<void> r = which == Directory::kAny ? one.run() : one.run(shared);
  op.caller().close_unneeded();
  return r;
}

Result<void> bring_directory(Op& op, int fd, int own, const FdNode& found, const StatX& dir) {
  if (found.node == nullptr || TRY(sys_lseek(own, 0, SEEK_CUR)) != 0) return {};
  const Node* node = TRY(copy_up(op, *found.node, Data::kNone));
  if (can_ask_supervisor(op)) return Error(EMFILE);
  if (op.caller().has_own_descriptors())
    return follow_directory(op, fd, dir, *node, Directory::kAny);
  const BlockedSignals blocked;
  const Following following(op.session(), op.caller());
  return follow_directory(op, fd, dir, *node, Directory::kAny);
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

void follow_shared_directory(Op& op, int fd) {
  StatX st;
  if (!attributes(op.caller(), fd, &st) || !S_ISDIR(st.stx_mode)) return;
  const Result<FdNode> found = node_of_fd(op, fd);
  if (!found.ok() || !found.value().on_lower || found.value().node == nullptr ||
      !found.value().node->has_upper_inode())
    return;
  const Result<BorrowedFd> borrowed = op.caller().borrow(fd);
  if (!borrowed.ok() || raw_call(SYS_lseek, borrowed.value().get(), 0, SEEK_CUR) != 0) return;
  ignore(follow_directory(op, fd, st, *found.value().node, Directory::kShared));
}

void follow_copies(Op& op) {
  if (!local_follows()) return;
  if (op.caller().has_own_descriptors()) return follow_here(op);
  const BlockedSignals blocked;
  if (can_ask_supervisor(op) && follow_by_supervisor(op)) return;
  const Following following(op.session(), op.caller());
  follow_here(op);
}

}  // namespace ovl
