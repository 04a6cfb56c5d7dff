// Path resolution as the kernel does it (path_resolution(7), fs/namei.c link_path_walk), on virtual
// paths. Two buffers: what is done (a chain of nodes) and what is to do (text); one step per
// component, bounded by 40 symlinks.
#pragma once

#include "core/caller/op.h"
#include "core/walk/lookup.h"
#include "core/walk/node.h"

namespace ovl {

enum WalkFlags : unsigned {
  kFollow = 1,       // follow a symlink in the last place
  kEmptyPath = 2,    // AT_EMPTY_PATH: "" means dirfd itself
  kParent = 4,       // for operations that make or remove the last name: see Walked::last
  kNoMagic = 8,      // RESOLVE_NO_MAGICLINKS
  kNoSymlinks = 16,  // RESOLVE_NO_SYMLINKS
  kBeneath = 32,     // RESOLVE_BENEATH: EXDEV on leaving the start
  kInRoot = 64,      // RESOLVE_IN_ROOT
  kNoXdev = 128,     // RESOLVE_NO_XDEV: EXDEV on entering or leaving an overlay
  kStill = 256,      // the caller of this holds a Mutation: no directory moves meanwhile
};

enum class Last : uint8_t { kName, kDot, kDotDot, kRoot };  // what the last component was

struct Walked {
  // Native: the walk never touched an overlay and the kernel's own view of (dirfd, path) is right:
  // run the original arguments. node and parent are not set.
  bool native = false;
  // Outside: the path leads out of the overlays, but not as the kernel would see it (a start in an
  // upper, a symlink of the upper): act on the real path outside_path instead. node->outside()
  // holds.
  CStr outside_path;
  // With native or outside_path: the list of what a task has mapped (is_mapping_list), by this
  // path.
  CStr mapping_list;

  // With native or outside_path: what a magic link leads to, or the caller's current directory.
  Orphan orphan;

  const Node* node =
      nullptr;  // what the path names; kAbsent or kUpperWhiteout when the last name is absent
  const Node* parent =
      nullptr;  // directory that holds it (always in the same overlay unless node is a root)
  Str name;     // last component as it is in parent
  Last last = Last::kName;      // rmdir("x/."), rename("x/..") differ by this
  bool trailing_slash = false;  // the path ended in '/': it must be a directory
  // By the same words the kernel goes the same way, to the name node->virt.
  bool kernel_follows = false;

  // Would the kernel find what is at this real path by the caller's own words?
  bool kernel_finds(CStr real) const {
    return kernel_follows && (outside() || real == Str(node->virt));
  }
  bool outside() const { return node != nullptr && node->outside(); }
};

// Resolves (dirfd, path) of the caller. `path` has been copied in. Errors: ENOENT (empty path; a
// missing component that is not the last), ENOTDIR (also trailing slash on a non-directory; not
// checked for an absent last name), ELOOP, ENAMETOOLONG, EACCES, EBADF, EXDEV, EIO.
Result<Walked> walk(Op& op, int dirfd, CStr path, unsigned flags);

// As walk, for a path that is required to exist: an absent last name is ENOENT.
Result<Walked> walk_existing(Op& op, int dirfd, CStr path, unsigned flags);

// The virtual path that a real path of some layer (what the kernel says of a cwd or descriptor) has
// for programs: the upper by its prefix; a lower by its prefix and the list of moved directories.
// Paths of no layer come back as they are. Kernel counterpart: d_path on an overlay.
Result<CStr> map_back(Op& op, CStr real);

// The node behind a descriptor of the caller. node: nullptr: not ours (no path, outside, or an
// object that has no name in the overlay any more: detached is true and it is a layer's own file).
struct FdNode {
  const Node* node = nullptr;
  const Overlay* overlay = nullptr;  // that shows it, or would
  bool detached = false;             // a lower or upper object that was unlinked or replaced since
  bool on_lower = false;             // the descriptor is on a lower's object
  CStr real;                         // what the kernel calls it
};
Result<FdNode> node_of_fd(Op& op, int fd);

}  // namespace ovl
