// What stands in an upper and its workdir already: is it ours to go on with? Kernel counterparts:
// ovl_get_workdir(), ovl_workdir_cleanup() and its incompat check, ovl_inuse_trylock().
#pragma once

#include <string>

#include "core/session/segment.h"

namespace ovl {

// Throws Failure when the workdir holds foreign things, when either was made by a newer version or
// by a feature that is unknown here, when the upper is in use, or when a volatile session left it
// behind and that is not accepted. Touches nothing. Returns true when the upper is empty (or
// missing) and nothing has used the workdir yet.
bool check_existing(const std::string& upper, const std::string& work, XattrPrefix prefix,
                    bool accept_volatile = false);

// The part of that without which nothing can be said of an upper: nobody changes it, and its format
// is not a newer version's.
void check_readable(const std::string& upper, const std::string& work);

// Does the upper carry the mark of one that the kernel's overlayfs would misread?
bool is_marked_unportable(const std::string& work);

// Has the workdir an index with something in it? Then names of the lower show inodes of the upper
// that they do not have there; only who reads the index knows.
bool has_index(const std::string& work);
// The name of an inode there: the file handle of what it was copied from.
bool is_index_name(const std::string& entry);

}  // namespace ovl
