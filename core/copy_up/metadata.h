// What is more to an object than its data. Kernel counterpart: ovl_copy_xattr(),
// ovl_copy_fileattr(), ovl_set_attr().
#pragma once

#include <sys/stat.h>
#include <time.h>

#include "core/copy_up/copy_up.h"

namespace ovl {

// Gives the real object at `to` (just made, of the user's own) all that programs see of `node`, a
// lower object, but data and times: xattrs, append-only and immutable flags, owner, mode.
Result<void> copy_metadata(Op& op, const Node& node, CStr to);

// Access and modification times of an object, to put them back exactly.
class Times {
 public:
  explicit Times(const StatX& st)
      : times_{{st.stx_atime.tv_sec, st.stx_atime.tv_nsec},
               {st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec}} {}
  Times changed_now() const {
    Times now = *this;
    now.times_[1] = {0, UTIME_NOW};
    return now;
  }
  Result<void> set(CStr real) const { return sys_utimens(real, times_); }
  Result<void> set(int fd) const { return sys_futimens(fd, times_); }

 private:
  timespec times_[2];
};

// A copy-up changes nothing that programs see of the directory it happens in: its times are put
// back. Make one before the change. EPERM is let pass (an upper directory of somebody else that we
// may write).
class KeepTimes {
 public:
  static Result<KeepTimes> of(CStr upper_dir) {
    KeepTimes keep(upper_dir);
    TRY(sys_lstat(upper_dir, &keep.st_));
    return keep;
  }
  Result<void> restore() const { return ignore_if(Times(st_).set(dir_), EPERM); }
  KeepTimes() = default;

 private:
  explicit KeepTimes(CStr dir) : dir_(dir) {}
  CStr dir_;
  StatX st_{};
};

}  // namespace ovl
