// What settling has to know again after a kill, in a directory of the workdir that is there until
// all is done. The start of a session removes it, as all temporaries: what that then changes of a
// file is not undone, and what it changes of one name is no other's.
//  - Names of one lower file are copied up one after the other, and stay names of one file: their
//    copy has a name here too.
//  - What happens in a directory changes its time of last modification, and so do data that a file
//    with several names gets in place, which takes its setuid bit too: what they were is the text
//    of a symbolic link here, until they are so again.
#pragma once

#include <string>

#include "core/sys/sys.h"
#include "core/walk/node.h"

namespace ovl {

// In the inner workdir.
inline constexpr char kSettleMemory[] = "#settle";

class SettleMemory {
 public:
  SettleMemory(const std::string& dir, const std::string& upper);

  // Gives the copy of the same file, if there is one, this name too. False: there is none. `rel`:
  // the name, below the upper. Throws Failure, as the others.
  bool link(const Node& lower, const std::string& rel);
  // Around the copying up of the first name.
  void will_copy(const Node& lower, const std::string& rel);
  void copied(const Node& lower, const std::string& rel);

  // Before and after an object of the upper is changed so that its times are to be put back. `now`:
  // its attributes, as far as they are the same then.
  void will_change(const StatX& now);
  void changed(const StatX& now, const std::string& rel);
  // Was a kill between the two? Then what changed() has to do is done now.
  void finish_change(const StatX& now, const std::string& rel);

  void remove();

 private:
  void make();
  std::string place_of(const StatX& file, const char* kind) const;
  const std::string dir_, upper_;
  const bool resumed_;  // somebody was killed
  bool made_ = false;
};

// A directory of the upper in which something may be changed: its times stay.
class QuietDirectory {
 public:
  QuietDirectory(SettleMemory& memory, const StatX& now, const std::string& rel)
      : memory_(memory), now_(now), rel_(rel) {}
  void begin() {
    if (!begun_) memory_.will_change(now_);
    begun_ = true;
  }
  void end() {
    if (begun_) memory_.changed(now_, rel_);
  }

 private:
  SettleMemory& memory_;
  const StatX now_;
  const std::string& rel_;
  bool begun_ = false;
};

}  // namespace ovl
