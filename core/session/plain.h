// Objects whose attributes programs see as the kernel tells them: untouched lower objects, files of
// an upper with nothing recorded, and what is outside. fstat(2) of a descriptor knows no name; for
// these it needs none. A small table per process, filled by the open or the first fstat, and valid
// as long as the session made no change that gives any object other attributes to show.
#pragma once

#include <stdint.h>

#include "core/session/session.h"

namespace ovl {

// The session's state of shown attributes; 0 while a change is being made (for good, when its maker
// was killed: then the table is of no use any more, and every answer right). Take it before
// looking.
uint64_t shown_stamp(const Session& session);

void remember_plain(uint64_t stamp, uint64_t dev, uint64_t ino);
bool is_plain(uint64_t stamp, uint64_t dev, uint64_t ino);

// Around a change that makes a lower object's copy the one that programs see, or records
// attributes.
class ShownChange {
 public:
  explicit ShownChange(const Session& session);
  ~ShownChange();
  ShownChange(const ShownChange&) = delete;
  ShownChange& operator=(const ShownChange&) = delete;

 private:
  SharedState& state_;
};

}  // namespace ovl
