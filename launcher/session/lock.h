// One session per upper. Two locks, both given back by any death of the holder:
//  - a POSIX read lock on the upper directory itself, found by anyone who asks for a conflict: by
//  inode, so that no symlink,
//    bind mount or other --work gets around it, and F_GETLK names the holder. Not flock(2): a
//    program may want to flock the directory that it sees there.
//  - flock(2) on "<work>/ovlrun/lock", which the front and the keeper share, so that it outlives
//  either.
// Kernel counterpart: ovl_inuse_trylock() on the upper and the workdir.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "launcher/session/created.h"

namespace ovl {

// Who holds the upper, as "pid 123 (ovlrun ...)"; empty: nobody.
std::string upper_holder(const std::string& upper);
// Its process; 0: it is in another pid name space; nullopt: nobody.
std::optional<long> upper_holder_pid(const std::string& upper);
// Beside the holder, for who joins its session; as long as the descriptor is open. Requires: as
// UpperLock. Throws Failure.
UniqueFd hold_upper_too(const std::string& upper);
std::string process_text(long pid);
// Likewise the workdir, through its lock file.
std::string work_holder(const std::string& work);

// Creates what is missing of the upper, the workdir and "<work>/ovlrun" (told to `created`), and
// takes both locks. Requires: this process stays alive as long as the session (POSIX locks belong
// to a process, and go when it closes any descriptor of the inode). Throws Failure when in use.
class UpperLock {
 public:
  UpperLock(const std::string& upper, const std::string& work, Created& created);
  // Nothing of this process closes a descriptor of the upper's directory any more: programs may
  // have its flock(2) from now on.
  void started();
  int upper() const { return upper_.get(); }  // on the upper's directory, from the start on
  // Descriptors to keep open.
  std::vector<int> descriptors() const { return {upper_.get(), file_.get()}; }

 private:
  // False: what was locked is not what the paths name (any more).
  bool lock_upper(const std::string& upper, Created& created);
  bool lock_work(const std::string& work, Created& created);
  void tell_holder();  // who asks for locks is told this process
  UniqueFd upper_, file_;
};

}  // namespace ovl
