// Owner, group, type and mode of an upper object: really where the user can, recorded where not.
// Three things bind the order: user.* xattrs can be written only while the real mode has u+rw;
// chown(2) clears setuid and setgid bits; and programs must never see a state in between. So a
// record is written before the real attributes change below it and removed after they have become
// what it says: each of the two is the one step at which what programs see changes. Kernel
// counterpart: ovl_set_attr(), without the record.
#include "core/attr/attr.h"
#include "core/session/plain.h"
#include "core/walk/beside.h"

namespace ovl {
namespace {

constexpr mode_t kBits = 07777;

class Setting {
 public:
  Setting(Op& op, const Overlay& overlay, const Object& object, const StatX& now,
          const Shown& shown)
      : op_(op),
        overlay_(overlay),
        object_(object),
        shown_(shown),
        now_(now),
        name_(priv_name(overlay.format, Priv::kOverrideStat)) {}

  Result<void> run(Recorded recorded) {
    const bool chown = now_.stx_uid != shown_.uid || now_.stx_gid != shown_.gid;
    const Credentials who = op_.caller().credentials();
    root_ = who.override_dac;
    if (chown) plan_owner();
    if (!carries_record()) {
      if (!stands_beside(overlay_, now_.stx_mode)) return best_effort();
      if (recorded == Recorded::kUnknown && !any_beside(op_)) recorded = Recorded::kNo;
    }
    const bool exact = really(uid_, gid_, wanted_mode());
    bool done = false;  // for programs, whatever becomes of what lies below the record
    if (!exact || recorded == Recorded::kYes) {
      TRY(make_writable());
      done = TRY(record());
      recorded = Recorded::kYes;
    }
    const Result<void> real = set_real();
    if (!real.ok()) return done ? Result<void>() : real;
    if (really(now_.stx_uid, now_.stx_gid, now_.stx_mode & kBits)) {
      if (recorded != Recorded::kNo) ignore(remove_record());  // it says the same
      return {};
    }
    if (recorded == Recorded::kYes) return {};
    TRY(make_writable());
    TRY(record());
    return {};
  }

 private:
  // user.* stands on files and directories only.
  bool carries_record() const { return S_ISREG(now_.stx_mode) || S_ISDIR(now_.stx_mode); }

  // The bits that the real object has to keep. Root needs none, and a kernel mount of the upper
  // then shows the same.
  mode_t needed() const {
    if (root_ || !carries_record()) return 0;
    return S_ISDIR(now_.stx_mode) ? 0700 : 0600;
  }

  // What chown(2) will achieve, as far as one can tell before.
  void plan_owner() {
    uid_ = root_ ? shown_.uid : now_.stx_uid;
    gid_ = root_ || now_.stx_gid == shown_.gid || op_.caller().in_group(shown_.gid) ? shown_.gid
                                                                                    : now_.stx_gid;
  }

  // A setuid bit on a file of somebody else than programs see would lend the wrong person's rights,
  // to programs outside too.
  mode_t wanted_mode() const {
    mode_t mode = (shown_.mode & 01777) | needed();
    if (uid_ == shown_.uid) mode |= shown_.mode & S_ISUID;
    if (gid_ == shown_.gid) mode |= shown_.mode & S_ISGID;
    return mode;
  }

  bool really(uid_t uid, gid_t gid, mode_t mode) const {
    return (now_.stx_mode & S_IFMT) == (shown_.mode & S_IFMT) && uid == shown_.uid &&
           gid == shown_.gid && mode == (shown_.mode & kBits);
  }

  Result<void> make_writable() {
    if ((now_.stx_mode & needed()) == needed()) return {};
    return change_mode((now_.stx_mode & kBits) | needed());
  }

  // False: it can't be recorded.
  Result<bool> record() {
    char text[kOverrideStatMax];
    const OverrideStat value = {shown_.uid, shown_.gid,        shown_.mode,
                                true,       shown_.rdev_major, shown_.rdev_minor};
    const size_t size = encode_override_stat(value, text);
    const ShownChange change(op_.session());
    if (carries_record()) {
      TRY(object_.set(name_, text, size));
      return true;
    }
    const CStr companion = TRY(beside_path(op_, overlay_, object_));
    if (companion.empty()) return false;  // what the user can really set has to do
    TRY(set_beside(op_, overlay_, companion, Priv::kOverrideStat, Str(text, size)));
    return true;
  }

  Result<void> set_real() {
    if (uid_ != now_.stx_uid || gid_ != now_.stx_gid) TRY(set_owner());
    return set_mode();
  }

  Result<void> remove_record() {
    if (carries_record()) return ignore_if(object_.remove(name_), ENODATA);
    const CStr companion = TRY(beside_path(op_, overlay_, object_));
    if (companion.empty()) return {};
    return ignore_if(ignore_if(sys_lremovexattr(companion, name_), ENODATA), ENOENT);
  }

  // EPERM: not this user's to give; EINVAL: an id that the user namespace does not have.
  Result<void> set_owner() {
    Result<void> r = object_.chown(uid_, gid_);
    if (!r.ok() && r.error() != EPERM && r.error() != EINVAL) return r;
    if (!r.ok()) {
      uid_ = now_.stx_uid;
      gid_ = now_.stx_gid;
      return {};
    }
    now_.stx_uid = uid_;
    now_.stx_gid = gid_;
    // chown(2) may have cleared these.
    constexpr mode_t kTaken = S_ISUID | S_ISGID;
    if (S_ISDIR(now_.stx_mode) || (now_.stx_mode & kTaken) == 0) return {};
    const mode_t without = now_.stx_mode & ~kTaken;
    if (!object_.stat(&now_).ok()) now_.stx_mode = static_cast<uint16_t>(without);
    return {};
  }

  Result<void> set_mode() {
    if (S_ISLNK(now_.stx_mode)) return {};
    const mode_t mode = wanted_mode();
    if ((now_.stx_mode & kBits) == mode) return {};
    return change_mode(mode);
  }

  Result<void> change_mode(mode_t mode) {
    TRY(object_.chmod(mode));
    // Of who isn't in the group, the kernel drops the setgid bit without a word.
    if ((mode & S_ISGID) != 0) return object_.stat(&now_);
    now_.stx_mode = static_cast<uint16_t>((now_.stx_mode & S_IFMT) | mode);
    return {};
  }

  // Nothing can be recorded: what the user can really set has to do.
  Result<void> best_effort() {
    if (uid_ != now_.stx_uid || gid_ != now_.stx_gid) TRY(set_owner());
    if (S_ISLNK(now_.stx_mode)) return {};
    const mode_t mode = wanted_mode();
    if ((now_.stx_mode & kBits) == mode) return {};
    return object_.chmod(mode);
  }

  Op& op_;
  const Overlay& overlay_;
  const Object& object_;
  const Shown& shown_;
  StatX now_;  // the real attributes as they become
  const char* name_;
  bool root_ = false;
  uid_t uid_ = shown_.uid;  // what the real owner is going to be
  gid_t gid_ = shown_.gid;
};

}  // namespace

Result<void> set_shown(Op& op, const Overlay& overlay, const Object& object, const StatX& now,
                       const Shown& shown, Recorded recorded) {
  // Walks pass the roots of overlays unasked until there is such a directory.
  if (S_ISDIR(shown.mode) && (shown.mode & S_IXUSR) == 0)
    op.session().state().closed_directories.store(1, std::memory_order_release);
  return Setting(op, overlay, object, now, shown).run(recorded);
}

}  // namespace ovl
