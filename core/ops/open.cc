// openat, openat2. Reading opens the real object where its data is; writing brings it up first. A
// descriptor is from then on the kernel's alone. Kernel counterpart: build_open_flags(), do_open(),
// may_open(), lookup_open(), ovl_open(), ovl_create(), ovl_tmpfile().
//
// What is opened for writing is opened without following a symlink anywhere: should another task
// have put one into the upper since the walk, it could lead to a lower.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/attr/attr.h"
#include "core/caller/descriptor_link.h"
#include "core/names/create.h"
#include "core/names/nameless.h"
#include "core/ops/emptied.h"
#include "core/ops/mappings.h"
#include "core/ops/ops.h"
#include "core/session/moved_file.h"
#include "core/session/name_watch.h"
#include "core/session/plain.h"
#include "core/session/readers.h"
#include "core/sys/no_symlinks.h"
#include "core/walk/changed.h"

namespace ovl {
namespace {

// The kernel's own values: libc defines O_LARGEFILE as 0 and O_TMPFILE with O_DIRECTORY.
constexpr int kLargeFile = 0100000;
constexpr int kTmpFile = 020000000;
constexpr uint64_t kSmallFileMost = 0x7fffffff;  // MAX_NON_LFS
constexpr int kPathFlags = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
constexpr int kValidFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
                            O_NONBLOCK | O_SYNC | O_DSYNC | O_ASYNC | O_DIRECT | kLargeFile |
                            O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | kTmpFile;
constexpr uint64_t kValidResolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                                   RESOLVE_BENEATH | RESOLVE_IN_ROOT | 0x20 /* RESOLVE_CACHED */;
constexpr uint64_t kResolveCached = 0x20;
constexpr int kRead = 4, kWrite = 2;

struct Request {
  int dirfd;
  UserPath path;
  int flags;
  mode_t mode;
  uint64_t resolve;

  bool has(int flag) const { return (flags & flag) == flag; }
  bool creates() const { return has(O_CREAT); }
  bool exclusive() const { return has(O_CREAT | O_EXCL); }
  // R_OK | W_OK as open(2) needs it of what exists.
  int access() const {
    if (has(O_PATH)) return 0;
    constexpr int kOf[] = {kRead, kWrite, kRead | kWrite, kRead | kWrite};
    return kOf[flags & O_ACCMODE] | (has(O_TRUNC) ? kWrite : 0);
  }
  bool writes() const { return (access() & kWrite) != 0; }
  // For an object that exists.
  int plain_flags() const { return flags & ~(O_CREAT | O_EXCL); }
};

// EINVAL. Kernel counterpart: build_open_flags().
Result<void> check(const Request& r) {
  if (r.has(O_DIRECTORY | O_CREAT)) return Error(EINVAL);
  if (!r.has(kTmpFile)) return {};
  if (!r.has(O_DIRECTORY) || r.has(O_PATH) || !r.writes()) return Error(EINVAL);
  return {};
}

unsigned walk_flags(const Request& r, Str path) {
  unsigned flags = 0;
  // With O_CREAT, a trailing slash is refused before a symlink would be followed.
  const bool refused = r.creates() && !path.empty() && path.back() == '/';
  if (!r.has(O_NOFOLLOW) && !r.exclusive() && !refused) flags |= kFollow;
  if (r.creates()) flags |= kParent;
  if ((r.resolve & RESOLVE_NO_XDEV) != 0) flags |= kNoXdev;
  if ((r.resolve & RESOLVE_NO_MAGICLINKS) != 0) flags |= kNoMagic;
  if ((r.resolve & RESOLVE_NO_SYMLINKS) != 0) flags |= kNoSymlinks;
  if ((r.resolve & RESOLVE_BENEATH) != 0) flags |= kBeneath;
  if ((r.resolve & RESOLVE_IN_ROOT) != 0) flags |= kInRoot;
  return flags;
}

// In the caller's own context, as one plain call: what is only read, and what may block.
Outcome open_plainly(Op& op, const Walked& w, CStr real, int flags, Caller::Opens what) {
  const bool kernel_finds = w.kernel_finds(real);
  Outcome outcome = op.caller().open_for_caller(real, flags, 0, what, kernel_finds);
  // On behalf of a file's owner that the user isn't really.
  if (outcome.value() == -EPERM && (flags & O_NOATIME) != 0)
    outcome = op.caller().open_for_caller(real, flags & ~O_NOATIME, 0, what, kernel_finds);
  return outcome;
}

Outcome open_there(Op& op, const Walked& w, const Node& node, CStr real, int flags) {
  Outcome outcome = open_plainly(op, w, real, flags, Caller::Opens::kStored);
  if (outcome.value() < 0 && has_changed(node, real, -outcome.value())) return Error(kLookAgain);
  return outcome;
}

// As the kernel's mounts have it by default (proc(5), protected_regular, protected_fifos): what
// somebody else has put into a sticky directory is not taken for what is to be made there. EACCES.
// Kernel counterpart: may_create_in_sticky().
Result<void> may_create_in_sticky(Op& op, const Node& node) {
  if (node.overlay->perm != Perm::kPosix || node.up == nullptr) return {};
  const Node& dir = *node.up;
  TRY(ensure_loaded(op, dir));
  if ((dir.mode & S_ISVTX) == 0) return {};
  if (!node.is_regular() && !S_ISFIFO(node.mode)) return {};
  if (node.uid == dir.uid || node.uid == op.caller().credentials().fsuid) return {};
  const char protects = protection_setting(op, node.is_regular() ? "regular" : "fifos");
  if (protects == '0') return {};
  const bool open_to_all = (dir.mode & S_IWOTH) != 0;
  const bool open_to_group = (dir.mode & S_IWGRP) != 0 && protects >= '2';
  if (open_to_all || open_to_group) return Error(EACCES);
  return {};
}

// ENOTDIR, ELOOP, EISDIR, EACCES, EPERM, EROFS, EOVERFLOW. Kernel counterpart: do_open(),
// may_open(), generic_file_open().
Result<void> may_open(Op& op, const Request& r, const Node& node) {
  if (r.exclusive()) return Error(EEXIST);
  if (r.creates() && node.is_dir()) return Error(EISDIR);
  if (r.creates()) TRY(may_create_in_sticky(op, node));
  if (r.has(O_DIRECTORY) && !node.is_dir()) return Error(ENOTDIR);
  if (r.has(O_PATH)) return {};
  if (node.is_symlink()) return Error(ELOOP);
  if (node.is_dir() && r.writes()) return Error(EISDIR);
  if (r.writes() && node.is_regular() && node.overlay->upper_layer == nullptr) return Error(EROFS);
  TRY(may(op, node, r.access()));
  if (r.writes() && flags_of(node).append &&
      (r.has(O_TRUNC) || ((r.flags & O_ACCMODE) != 0 && !r.has(O_APPEND))))
    return Error(EPERM);
  if (r.has(O_NOATIME) && node.overlay->perm == Perm::kPosix) TRY(may_own(op, node));
  if (!r.has(kLargeFile) && node.is_regular() && node.real.stx_size > kSmallFileMost)
    return Error(EOVERFLOW);
  return {};
}

// Could opening a name of the upper give what programs never see: a whiteout, or a metacopy without
// its data? No directory is one.
bool may_open_hidden(Op& op, const Request& r, const Node& node) {
  if (r.has(O_DIRECTORY)) return false;
  return r.has(O_PATH) || !node.overlay->can_whiteout_device ||
         op.session().state().metacopies.load(std::memory_order_acquire) != 0;
}

// The state of the session before the walk.
struct Before {
  explicit Before(const Session& session)
      : shown(shown_stamp(session)), readers(reader_stamp(session)), names(session) {}
  const uint64_t shown, readers;
  const NameWatch names;
};

// Is what was opened a whiteout, or a metacopy? Inode numbers are given again at once.
bool is_marked(const Node& node, const UniqueFd& fd) {
  for (const Priv mark : {Priv::kMetacopy, Priv::kWhiteout})
    if (sys_fgetxattr(fd.get(), priv_name(node.overlay->format, mark), nullptr, 0).ok())
      return true;
  return false;
}

// One could have been opened in the place of what was seen.
Result<void> check_same(Op& op, const Request& r, const Node& node, const UniqueFd& fd,
                        const NameWatch& names) {
  if (names.held_still() || !may_open_hidden(op, r, node)) return {};
  StatX st;
  TRY(sys_fstat(fd.get(), &st));
  const bool same =
      st.stx_ino == node.real.stx_ino && ((st.stx_mode ^ node.real.stx_mode) & S_IFMT) == 0;
  const bool has_data = S_ISREG(st.stx_mode) && !r.has(O_PATH);
  return same && !(has_data && is_marked(node, fd)) ? Result<void>() : Error(kLookAgain);
}

// Of the upper, where the name may hold something hidden by now.
Outcome open_checked(Op& op, const Request& r, const Node& node, const NameWatch& names) {
  Result<UniqueFd> fd = sys_open_no_symlinks(node.upper, r.plain_flags(), 0);
  if (!fd.ok() && fd.error() == EPERM && r.has(O_NOATIME))  // as in open_plainly()
    fd = sys_open_no_symlinks(node.upper, r.plain_flags() & ~O_NOATIME, 0);
  if (!fd.ok()) return Error(has_changed(node, node.upper, fd.error()) ? kLookAgain : fd.error());
  TRY(check_same(op, r, node, fd.value(), names));
  return op.caller().give_fd(std::move(fd).value(), r.flags & O_CLOEXEC);
}

// What was opened in the caller's own context, where that can be looked at.
Outcome checked_here(Op& op, const Request& r, const Node& node, const Outcome& outcome,
                     const NameWatch& names) {
  if (outcome.is_native() || outcome.value() < 0 || op.caller().has_own_descriptors())
    return outcome;
  UniqueFd fd(static_cast<int>(outcome.value()));
  TRY(check_same(op, r, node, fd, names));
  return fd.release();
}

// Likewise, where nothing hidden was there before; in the caller's own context it costs nothing
// more.
Outcome open_in_upper(Op& op, const Request& r, const Walked& w, const NameWatch& names) {
  const Node& node = *w.node;
  const bool given_away = op.caller().has_own_descriptors();
  const bool in_own_context = !given_away || w.kernel_finds(node.upper);
  // The kernel gives no O_PATH descriptors away.
  if ((given_away && r.has(O_PATH)) || (in_own_context && !may_open_hidden(op, r, node)))
    return checked_here(op, r, node, open_there(op, w, node, node.upper, r.plain_flags()), names);
  return open_checked(op, r, node, names);
}

// What is open when the data is copied up has to be found. kLookAgain: it may be in the upper by
// now.
Result<void> tell_of_reader(Op& op, const Node& node, uint64_t stamp) {
  StatX st = node.real;
  if (node.has_upper_inode() || node.lower_count > 1) TRY(sys_lstat(node.data(), &st));
  if (!note_reader(op.session(), st, stamp)) return Error(kLookAgain);
  return {};
}

// Of a lower's file, to be read. Data that came up after tell_of_reader(): who looked for stale
// descriptors then may not have met this one yet.
Outcome open_data(Op& op, const Request& r, const Walked& w, const Node& node, uint64_t stamp) {
  const Outcome outcome = open_there(op, w, node, node.data(), r.plain_flags());
  if (outcome.is_native() || outcome.value() < 0 || reader_stamp(op.session()) == stamp)
    return outcome;
  const Result<const Node*> now = again(op, node);
  if (now.ok() && now.value()->exists() && now.value()->data() == Str(node.data())) return outcome;
  if (!op.caller().has_own_descriptors()) {
    const UniqueFd missed(static_cast<int>(outcome.value()));
    return Error(kLookAgain);
  }
  look_for_stale_again(op.session());  // it is the task's by now
  return outcome;
}

// Are the data by another name in their layer than the file is?
bool has_data_elsewhere(const Node& node) {
  if (node.in_upper() && !node.metacopy()) return false;
  if (node.metacopy() && node.priv.has(Priv::kRedirect)) return true;
  if (node.lower_count < 2) return false;
  const LowerRef &first = node.lowers[0], &last = node.lowers[node.lower_count - 1];
  return last.layer->data_only ||
         (node.overlay->level == 0 &&
          below(last.path, last.layer->root) != below(first.path, first.layer->root));
}

// Files may share their data: a descriptor tells one name alone.
bool is_noted_otherwise(Op& op, const Node& node) {
  const CStr noted = moved_file_at(op.session(), op.arena(), node.data());
  if (noted.empty() || noted == Str(node.virt)) return false;
  const Result<const Node*> other = node_at(op, noted);
  return other.ok() && other.value()->exists() && other.value()->is_regular() &&
         other.value()->data() == Str(node.data()) && !same_inode(other.value()->real, node.real);
}

bool note_name(Op& op, const Node& node) {
  if (node.overlay->level != 0 || is_noted_otherwise(op, node)) return false;
  if (!moved_file_note(op.session(), node.data(), node.virt)) return false;
  return !is_noted_otherwise(op, node);
}

// A descriptor on the lower's file has to find the name that it has now. Where that can't be
// remembered, the data comes.
Outcome open_moved_metacopy(Op& op, const Request& r, const Walked& w, const Before& before) {
  const Node& node = *w.node;
  if (note_name(op, node)) {
    // A rename after this sees what was noted.
    const Node* now = TRY(again(op, node));
    if (!now->exists() || !now->is_regular() || now->data() != Str(node.data()))
      return Error(kLookAgain);
    return open_data(op, r, w, node, before.readers);
  }
  const Node* now = TRY(still(copy_up(op, node, Data::kAll)));
  if (now->in_upper()) return open_checked(op, r, *now, before.names);
  return open_data(op, r, w, *now, before.readers);
}

// By the name that it mostly still has: through a link nothing opens with O_NOFOLLOW. Not a
// descriptor: another file has the name.
Result<UniqueFd> open_named(Op& op, const Request& r, CStr name, const UniqueFd& file, bool empty) {
  UniqueFd named = TRY(sys_open_no_symlinks(name, r.plain_flags() & ~O_TRUNC, 0));
  StatX wanted, st;
  TRY(sys_fstat(file.get(), &wanted));
  TRY(sys_fstat(named.get(), &st));
  if (!same_inode(st, wanted)) return Error(ESTALE);
  if (!empty) TRY(sys_truncate(descriptor_link(op.arena(), named.get()), 0));
  return named;
}

// The file behind a descriptor, whatever it is called by now, to empty it unless that was done:
// what others have written since stays.
Outcome open_again(Op& op, const Request& r, CStr name, const UniqueFd& file, bool empty) {
  if (r.has(O_NOFOLLOW)) {
    Result<UniqueFd> named = open_named(op, r, name, file, empty);
    if (named.ok()) return op.caller().give_fd(std::move(named).value(), r.flags & O_CLOEXEC);
  }
  const CStr link = descriptor_link(op.arena(), file.get());
  const int without = O_NOFOLLOW | (empty ? O_TRUNC : 0);
  return op.caller().give_fd(TRY(sys_openat(link, r.plain_flags() & ~without)),
                             r.flags & O_CLOEXEC);
}

// A copy that was made without its data: this file has lost them, and no other by its name may.
Outcome open_emptied(Op& op, const Request& r, CStr upper, const UniqueFd& emptied) {
  StatX wanted, st;
  TRY(sys_fstat(emptied.get(), &wanted));
  // By its name, where it has it: the copy's descriptor may know another one, in an index.
  const Result<UniqueFd> named = sys_openat(upper, O_PATH | O_NOFOLLOW);
  const bool same =
      named.ok() && sys_fstat(named.value().get(), &st).ok() && same_inode(st, wanted);
  return open_again(op, r, upper, same ? named.value() : emptied, true);
}

Outcome open_to_read(Op& op, const Request& r, const Walked& w, const Before& before) {
  const Node& node = *w.node;
  if (node.in_upper() && !node.metacopy()) return open_in_upper(op, r, w, before.names);
  TRY(tell_of_reader(op, node, before.readers));
  if (has_data_elsewhere(node)) return open_moved_metacopy(op, r, w, before);
  return open_data(op, r, w, node, before.readers);
}

Outcome open_to_write(Op& op, const Request& r, const Node& node, const NameWatch& names) {
  op.session().note_change();
  UniqueFd emptied;
  Result<const Node*> now =
      r.has(O_TRUNC) ? copy_up_empty(op, node, &emptied) : copy_up(op, node, Data::kAll);
  if (emptied.valid()) return open_emptied(op, r, node.upper, emptied);
  if (!now.ok()) return Error(now.error() == ENOENT ? kLookAgain : now.error());
  if (now.value()->metacopy()) {
    const Emptied metacopy = TRY(empty_metacopy(op, *now.value()));
    return open_again(op, r, now.value()->upper, metacopy.file, metacopy.here);
  }
  const CStr upper = now.value()->upper;
  Result<UniqueFd> fd = sys_open_no_symlinks(upper, r.plain_flags(), 0);
  if (!fd.ok())
    return Error(has_changed(*now.value(), upper, fd.error()) ? kLookAgain : fd.error());
  TRY(check_same(op, r, *now.value(), fd.value(), names));
  return op.caller().give_fd(std::move(fd).value(), r.flags & O_CLOEXEC);
}

// A FIFO connects those who open the same inode: all have to open the upper's, and what goes
// through it changes its times.
Outcome open_special(Op& op, const Request& r, const Walked& w, const NameWatch& names) {
  const Node& node = *w.node;
  const Node* now = &node;
  if (S_ISFIFO(node.mode) && node.overlay->upper_layer != nullptr) {
    now = TRY(still(copy_up(op, node, Data::kNone)));
  }
  // A device that only is recorded leads nowhere.
  if ((now->real.stx_mode & S_IFMT) != (now->mode & S_IFMT)) return Error(ENXIO);
  const Outcome outcome = open_plainly(op, w, now->top(), r.plain_flags() & ~O_TRUNC,
                                       Caller::Opens::kAnything);  // ENXIO is a FIFO's own
  return now->in_upper() ? checked_here(op, r, *now, outcome, names) : outcome;
}

Outcome open_existing(Op& op, const Request& r, Walked w, const Before& before) {
  TRY(may_open(op, r, *w.node));
  // A descriptor on the index would tell nobody what the file is called. Where the name can't come
  // to the upper, it is the same file.
  if (!w.node->index.empty()) {
    Result<const Node*> now = copy_up(op, *w.node, Data::kNone);
    if (!now.ok() && now.error() == ENOENT) return Error(kLookAgain);
    if (now.ok()) w.node = now.value();
  }
  const Node& node = *w.node;
  // What a copy-up breaks is not found by its name alone.
  if (r.has(O_PATH) && node.is_regular() && node.real.stx_nlink > 1)
    TRY(tell_of_reader(op, node, before.readers));
  if (r.has(O_PATH) || node.is_dir())
    return node.in_upper() ? open_in_upper(op, r, w, before.names)
                           : open_there(op, w, node, node.top(), r.plain_flags());
  if (!node.is_regular()) return open_special(op, r, w, before.names);
  return r.writes() ? open_to_write(op, r, node, before.names) : open_to_read(op, r, w, before);
}

// Does the kernel's own fstat(2) of this object tell what programs are to see?
bool tells_plainly(const Node& node) {
  if (node.in_upper())
    return node.is_regular() && node.priv.empty() && node.lower_count == 0 &&
           node.overlay->upper_layer->fs_index == 0;
  // Another name of it may be a file of its own by now.
  return !node.has_upper_inode() && node.lower_count == 1 && node.priv.empty() &&
         node.lowers[0].layer->fs_index == 0 && (node.is_dir() || node.real.stx_nlink == 1);
}

Outcome open_and_remember(Op& op, const Request& r, const Walked& w, const Before& before) {
  const Node& node = *w.node;
  Outcome outcome = open_existing(op, r, w, before);
  if (outcome.value() >= 0 && tells_plainly(node))
    remember_plain(before.shown, makedev(node.real.stx_dev_major, node.real.stx_dev_minor),
                   node.real.stx_ino);
  return outcome;
}

class NewFile final : public Creation {
 public:
  explicit NewFile(const Request& r) : Creation(Kind::kOther), r_(r) {}
  Result<void> make(CStr real) override {
    fd_ = TRY(sys_open_no_symlinks(real, (r_.flags & ~O_TRUNC) | O_EXCL, r_.mode));
    return {};
  }
  UniqueFd take() { return std::move(fd_); }

 private:
  const Request& r_;
  UniqueFd fd_;
};

Outcome open_new(Op& op, const Request& r, NamePath& target) {
  NewFile creation(r);
  Result<void> made = create_name(op, target, creation);
  // Somebody else was first: then that is opened.
  if (!made.ok() && made.error() == EEXIST && !r.exclusive()) return Error(kLookAgain);
  TRY(made);
  return op.caller().give_fd(creation.take(), r.flags & O_CLOEXEC);
}

// O_TMPFILE: a file without a name, where the directory's upper is.
Outcome open_unnamed(Op& op, const Request& r, NamePath& target) {
  const Node& seen = *target.walked().node;
  if (!seen.exists()) return Error(ENOENT);
  if (!seen.is_dir()) return Error(ENOTDIR);
  if (seen.overlay->upper_layer == nullptr) return Error(EROFS);
  TRY(may_change_names(op, seen));
  UniqueFd fd;
  {
    Mutation mutation(op.session(), Mutation::Topology::kShared);
    TRY(target.settle());
    const Node& node = *target.walked().node;
    if (!node.exists() || !node.is_dir()) return Error(kLookAgain);
    const Node* dir = TRY(copy_up_dir(op, node));
    op.session().note_change();
    fd = TRY(sys_open_no_symlinks(dir->upper, r.flags, r.mode));
    if ((dir->mode & S_ISGID) != 0 && dir->gid != dir->real.stx_gid) {
      StatX now;
      TRY(sys_fstat(fd.get(), &now));
      const Shown shown = {now.stx_uid, dir->gid, now.stx_mode};
      TRY(set_shown(op, *dir->overlay, Object::open(fd.get()), now, shown, Recorded::kNo));
    }
  }
  return op.caller().give_fd(std::move(fd), r.flags & O_CLOEXEC);
}

// To be read, by nothing that the kernel would refuse or limit.
bool shows_mappings(const Request& r, const Walked& walked) {
  constexpr int kOthers =
      O_ACCMODE | O_CREAT | O_TRUNC | O_DIRECTORY | O_PATH | O_DIRECT | O_NOATIME | kTmpFile;
  constexpr uint64_t kLimits = RESOLVE_NO_XDEV | kResolveCached;
  return !walked.mapping_list.empty() && (r.flags & kOthers) == O_RDONLY &&
         (r.resolve & kLimits) == 0;
}

// By a magic link, to write to a lower's file that has lost its name.
Outcome open_nameless(Op& op, const Request& r, int fd) {
  if (fd < 0) return Error(EROFS);
  const FdNode found = TRY(node_of_fd(op, fd));
  if (found.node != nullptr || !found.detached || !found.on_lower) return Error(kLookAgain);
  const BorrowedFd borrowed = TRY(op.caller().borrow(fd));
  const Node* node = TRY(bring_nameless(op, found, borrowed.get()));
  TRY(may_open(op, r, *node));
  UniqueFd copy = TRY(sys_open_no_symlinks(node->upper, r.plain_flags(), 0));
  return op.caller().give_fd(std::move(copy), r.flags & O_CLOEXEC);
}

Outcome attempt(Op& op, Request r, CStr path) {
  const Before before(op.session());
  NamePath target(op, r.dirfd);
  TRY(target.find(path, walk_flags(r, path)));
  const Walked& walked = target.walked();
  if (walked.node != nullptr && !walked.outside() && walked.node->overlay->is_volatile)
    r.flags &= ~O_SYNC;  // O_DSYNC is a part of it
  if (walked.orphan && walked.orphan.on_lower && r.writes())
    return open_nameless(op, r, walked.orphan.fd);
  if (shows_mappings(r, walked)) {
    Outcome shown = open_mapping_list(op, walked.mapping_list, r.flags);
    if (!shown.is_native()) return shown;
  }
  if (target.native()) return Outcome::native();
  if (target.outside())
    return op.caller().open_for_caller(walked.outside_path, r.flags, r.mode,
                                       Caller::Opens::kAnything, walked.kernel_follows);
  if ((r.resolve & kResolveCached) != 0) return Error(EAGAIN);
  if (r.has(kTmpFile)) return open_unnamed(op, r, target);
  // A name that is to be a directory can't be made by open(2), whether or not it is there.
  if (r.creates() && walked.last == Last::kName && walked.trailing_slash) return Error(EISDIR);
  if (walked.node->exists()) return open_and_remember(op, r, walked, before);
  return r.creates() ? open_new(op, r, target) : Error(ENOENT);
}

Outcome open_at(Op& op, const Request& r) {
  TRY(check(r));
  const CStr path = TRY(op.caller().copy_in_path(op.arena(), r.path));
  if (r.creates() || (r.has(O_TRUNC) && !r.has(O_PATH))) TRY(op.caller().has_room_for_fd());
  return until_still([&] { return attempt(op, r, path); });
}

// EINVAL, E2BIG, EFAULT. Kernel counterpart: copy_struct_from_user(), build_open_flags().
Result<void> copy_in_how(Op& op, UserBuf user, size_t size, open_how* how) {
  constexpr size_t kPage = 4096;
  if (size < sizeof *how) return Error(EINVAL);
  if (size > kPage) return Error(E2BIG);
  char* bytes = op.arena().array<char>(size);
  if (bytes == nullptr) return Error(ENOMEM);
  TRY(op.caller().copy_in(bytes, user.as<const void>(), size));
  for (size_t i = sizeof *how; i < size; i++)
    if (bytes[i] != 0) return Error(E2BIG);
  memcpy(how, bytes, sizeof *how);
  if ((how->flags & ~static_cast<uint64_t>(kValidFlags)) != 0) return Error(EINVAL);
  if ((how->resolve & ~kValidResolve) != 0) return Error(EINVAL);
  constexpr uint64_t kBoth = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
  if ((how->resolve & kBoth) == kBoth) return Error(EINVAL);
  const bool creates = (how->flags & (O_CREAT | kTmpFile)) != 0;
  if ((how->mode & ~uint64_t{07777}) != 0 || (how->mode != 0 && !creates)) return Error(EINVAL);
  if ((how->flags & O_PATH) != 0 && (how->flags & ~static_cast<uint64_t>(kPathFlags)) != 0)
    return Error(EINVAL);
  if ((how->resolve & kResolveCached) != 0 && (how->flags & (O_TRUNC | O_CREAT | kTmpFile)) != 0)
    return Error(EAGAIN);
  return {};
}

}  // namespace

Outcome op_openat(Op& op, int dirfd, UserPath path, int flags, mode_t mode) {
  flags &= kValidFlags;
  if (!op.caller().is_compat()) flags |= kLargeFile;
  if ((flags & O_PATH) != 0) flags &= kPathFlags;
  const bool creates = (flags & (O_CREAT | kTmpFile)) != 0;
  return open_at(op, Request{dirfd, path, flags, creates ? mode & 07777 : 0, 0});
}

Outcome op_openat2(Op& op, int dirfd, UserPath path, UserBuf user_how, size_t size) {
  open_how how;
  TRY(copy_in_how(op, user_how, size, &how));
  if ((how.flags & O_PATH) == 0) how.flags |= kLargeFile;  // also for 32-bit programs
  return open_at(op, Request{dirfd, path, static_cast<int>(how.flags),
                             static_cast<mode_t>(how.mode), how.resolve});
}

}  // namespace ovl
