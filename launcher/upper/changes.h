// What an upper changes. Walks the upper alone; the lower is asked only for the names that stand
// there.
#pragma once

#include <string>
#include <vector>

#include "launcher/upper/view.h"

namespace ovl {

enum class ChangeKind : char {
  kAdded = 'A',
  kModified = 'M',  // its data (or where a symlink leads)
  kMetadata =
      'm',  // owner, mode, xattrs; of anything but a directory also the time of last modification
  kDeleted = 'D',  // with all below it
  kRenamed = 'R',
  kType = 'T',  // now of another type
};

struct Change {
  ChangeKind kind;
  std::string path;      // as programs see it
  std::string old_path;  // the path that it had in the lowers (kRenamed; elsewhere the same unless
                         // a directory above was renamed)
};

// Sorted by path. Throws Failure. What is copied up and equal to what lies below is no change.
std::vector<Change> changes_of(const UpperSource& source);

}  // namespace ovl
