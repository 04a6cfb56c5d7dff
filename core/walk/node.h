// A name resolved through the layers. Kernel counterpart: struct ovl_entry + ovl_path_type.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "core/base/str.h"
#include "core/format/format.h"
#include "core/layer/layer.h"
#include "core/sys/sys.h"

namespace ovl {

enum class Where : uint8_t {
  kAbsent,         // in no layer
  kLower,          // in a lower only: copy up before changing
  kUpper,          // in the upper (merged directories too)
  kUpperWhiteout,  // absent for programs, a whiteout stands in the upper: replace it when creating
};

// An object in one lower layer.
struct LowerRef {
  const Layer* layer;
  CStr path;  // real
};

struct Node {
  const Overlay* overlay =
      nullptr;  // nullptr: outside every overlay; then only `up` and `virt` mean anything
  const Node* up = nullptr;  // the directory that holds it; nullptr for "/"
  CStr virt;   // normalised absolute path as programs see it, no symlink in it but perhaps the last
               // name
  CStr upper;  // real path in the upper, whether or not something is there; empty when there is no
               // upper layer
  Where where = Where::kAbsent;

  // Objects below, topmost first. Directory: those it is merged of (none: pure upper). Anything
  // else: the object itself (kLower) or the one it was copied from (kUpper with origin or
  // metacopy); where that is a metacopy too, those below it follow, so that the last one has the
  // data.
  const LowerRef* lowers = nullptr;
  uint32_t lower_count = 0;

  // Real path of the inode in an index that a hard link of the lower is by now (kLower): it was
  // copied up by another name, and this name has not come to the upper yet. Empty: none.
  CStr index;

  // Of the topmost object, when exists() and loaded. A directory that a walk only passes may not
  // be: then of these only the type in `mode` is known (lookup.h: ensure_loaded).
  bool loaded = true;
  StatX real{};     // as the kernel tells
  PrivSet priv;     // private xattrs that it has
  CStr beside;      // real path of what carries them for it (walk/beside.h); empty: it does itself
  mode_t mode = 0;  // type and permission that programs see (override_stat applied)
  uid_t uid = 0;
  gid_t gid = 0;
  uint32_t rdev_major = 0, rdev_minor = 0;

  bool outside() const { return overlay == nullptr; }
  bool exists() const { return where == Where::kLower || where == Where::kUpper; }
  bool in_upper() const { return where == Where::kUpper; }
  // The object itself is in the upper or its index, whether or not its name is in the upper.
  bool has_upper_inode() const { return in_upper() || !index.empty(); }
  bool is_dir() const { return S_ISDIR(mode); }
  bool is_regular() const { return S_ISREG(mode); }
  bool is_symlink() const { return S_ISLNK(mode); }
  // A directory with entries from the upper and a lower, or from several lowers.
  bool merged() const { return is_dir() && lower_count + (in_upper() ? 1 : 0) > 1; }
  // An upper file whose data still is in a lower.
  bool metacopy() const { return has_upper_inode() && priv.has(Priv::kMetacopy) && is_regular(); }
  // A metacopy whose data is on its way, or was when a kill came.
  bool filling() const { return metacopy() && priv.has(Priv::kFilling); }
  // How the topmost object's xattrs are named.
  XattrFormat format() const {
    return has_upper_inode() || lower_count == 0 ? overlay->format : lowers[0].layer->format;
  }
  // Real path of the topmost object: metadata, symlink text, xattrs, directory descriptor. Requires
  // exists().
  CStr top() const { return in_upper() ? upper : !index.empty() ? index : lowers[0].path; }
  // Real path of what carries the topmost object's private xattrs. Requires exists().
  CStr marked() const { return beside.empty() ? top() : beside; }
  // Real path of the object with the file's data. Requires exists().
  CStr data() const {
    return has_upper_inode() && !metacopy() ? top() : lowers[lower_count - 1].path;
  }
};

// An object of a layer that programs see nowhere any more.
struct Orphan {
  const Overlay* overlay = nullptr;  // that showed it; nullptr: it is no such object
  bool on_lower = false;             // then it is never to be opened for writing or changed
  CStr link;                         // of procfs, to be followed
  int fd = -1;                       // the caller's own descriptor that it is, or -1

  explicit operator bool() const { return overlay != nullptr; }
};

}  // namespace ovl
