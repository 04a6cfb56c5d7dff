// One session per upper. Two locks, both given back by any death of the holder:
//  - a POSIX read lock on the upper directory itself, found by anyone who asks for a conflict: by
//  inode, so that no symlink,
//    bind mount or other --work gets around it, and F_GETLK names the holder. Not flock(2): a
//    program may want to flock the directory that it sees there.
//  - flock(2) on "<work>/ovlrun/lock", which the front and the keeper share, so that it outlives
//  either.
// Kernel counterpart: ovl_inuse_trylock() on the upper and the workdir.
#pragma once

#include <string>
#include <vector>

#include "core/base/unique_fd.h"

namespace ovl {

// Who holds the upper, as "pid 123 (ovlrun ...)"; empty: nobody.
std::string upper_holder(const std::string& upper);
// Likewise the workdir, through its lock file.
std::string work_holder(const std::string& work);

// Takes both. Requires: upper and "<work>/ovlrun" exist; this process stays alive as long as the
// session (POSIX locks belong to a process, and go when it closes any descriptor of the inode).
// Throws Failure when in use.
class UpperLock {
 public:
  UpperLock(const std::string& upper, const std::string& work);
  // Descriptors to keep open.
  std::vector<int> descriptors() const { return {upper_.get(), file_.get()}; }

 private:
  UniqueFd upper_, file_;
};

}  // namespace ovl
