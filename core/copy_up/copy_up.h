// Bringing lower objects into the upper, atomically. Kernel counterpart: fs/overlayfs/copy_up.c.
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

enum class Data : uint8_t {
  kNone,  // metadata only (metacopy) where the overlay allows it, else all
  kAll,   // with data; also completes a metacopy
  kDrop,  // without data, for O_TRUNC: a full, empty upper file that was changed now
};

// Makes `dir` and the directories above it exist in the upper, each with the lower's metadata.
// Returns the node as it is then. Requires: a Mutation (any topology). Takes no directory lock: two
// makers of one directory meet in the rename and the later one takes the first one's. Errors: EROFS
// (no upper), ENOSPC, EIO ...
Result<const Node*> copy_up_dir(Op& op, const Node& dir);

// Makes a non-directory (or directory: then as copy_up_dir) exist in the upper with `data`. Does
// nothing when it is there already and has what is asked. Requires: no Mutation held: data is
// copied without any lock, then the place is locked, looked at again and published; a name that was
// changed meanwhile is looked up anew (never resurrected). Returns the node as it is then. Errors:
// ENOENT (gone meanwhile), EROFS, ENOSPC, EACCES (unreadable) ...
Result<const Node*> copy_up(Op& op, const Node& node, Data data);
// As kDrop, for who wants to open the file. *emptied: of a copy that was made now; the file has
// lost its data with that, whatever becomes of its name. A metacopy is left to the caller.
Result<const Node*> copy_up_empty(Op& op, const Node& node, UniqueFd* emptied);

// A copy of a lower's regular file, with data, that has no name but its own in the workdir, where
// it stays; its path. Requires: no Mutation held; node is a lower's. Errors: as copy_up().
Result<CStr> copy_up_nameless(Op& op, const Node& node);

// --- the workdir: its inner directory, named as the kernel names it, with temporaries "#<hex>" ---
inline constexpr Str kInnerWork("/work");
// A temporary that is removed when it was not published.
class Temp {
 public:
  Temp(Op& op,
       const Overlay& overlay);  // reserves a name; path() may be created by the caller of this
  Temp(const Temp&) = delete;
  Temp& operator=(const Temp&) = delete;
  ~Temp();  // removes what is at path() unless published; directories too (not recursive)

  CStr path() const { return path_; }
  // rename(2) onto `real`, flags as renameat2. On success nothing is left to remove
  // (RENAME_EXCHANGE: what was there is now at path() and is removed by the destructor).
  Result<void> publish(CStr real, unsigned flags = 0);
  void keep() { remove_ = false; }

 private:
  CStr path_;
  bool remove_ = true;
};

// A directory of ours that we can enter and write to, whatever the program's umask is.
Result<void> make_own_directory(CStr path);

// Puts a whiteout at the upper path, over what is there or over nothing: atomically.
// Requires: a Mutation with the directory locked. The parent exists in the upper and is not opaque.
Result<void> put_whiteout(Op& op, const Overlay& overlay, CStr upper);

// Removes the whiteouts in a real directory that shows as empty. Requires: nobody else can reach it
// (exclusive Mutation, or it is in the workdir).
Result<void> remove_whiteouts(Op& op, CStr dir);

}  // namespace ovl
