// Copies of lower files that their name does not lead to any more, for descriptors on the lower's
// file: other names of a hard link, by the index; and files without any name, which stay in the
// workdir until the session ends when somebody may have them open. Kernel counterpart: the inode,
// which lives as long as it is open.
#pragma once

#include "core/caller/op.h"
#include "core/walk/walk.h"

namespace ovl {

// Before the last name of a file in the upper goes away or is given to another. Does nothing where
// nobody may read what it was copied from. Requires: a Mutation with the directory locked.
class KeptForReaders {
 public:
  KeptForReaders(Op& op, const Node& node);
  // The name has gone: those who have the lower's file open find the copy from now on.
  void done(Op& op);
  KeptForReaders(const KeptForReaders&) = delete;
  KeptForReaders& operator=(const KeptForReaders&) = delete;
  ~KeptForReaders();

 private:
  CStr lower_, kept_;
  StatX st_{};
};

// The copy of the lower's file that a descriptor is on (found.on_lower, found.detached). node:
// nullptr: there is none.
struct Nameless {
  const Node* node = nullptr;
  bool gone = false;  // it has no name at all
};
Result<Nameless> nameless_copy(Op& op, const FdNode& found, int fd);

// The same of a regular file; where there is none, a copy is made. The copy has no name. Requires:
// no Mutation held. Errors: EROFS (no upper, or nowhere to remember it), as copy_up().
Result<const Node*> bring_nameless(Op& op, const FdNode& found, int fd);

// Is this inode of an upper one that has no name but the one that keeps it?
bool is_kept(Op& op, const StatX& st);

}  // namespace ovl
