// One component across the layers. Kernel counterpart: ovl_lookup(), ovl_lookup_layer(),
// ovl_lookup_single().
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

// Is search permission asked for? Not on the way to a cwd or descriptor that the caller already
// holds.
enum class Search : uint8_t { kChecked, kUnchecked };

// What a lookup is for: a name that is only passed on the way needs no attributes if it is a
// directory of a lower.
enum class Purpose : uint8_t { kResult, kPass };

// Looks `name` (no slash, not "." or "..") up in `dir` (an overlay directory). An absent name is a
// value (where kAbsent or kUpperWhiteout). No symlink is followed. The result lives in op's arena.
// Errors: EACCES (no search permission), EIO (bad redirect, metacopy without data), ENAMETOOLONG,
// what the file systems say.
Result<const Node*> lookup(Op& op, const Node& dir, Str name, Search search = Search::kChecked,
                           Purpose purpose = Purpose::kResult);

// Is there a kFuseOpaqueFile in the directory that is fuse-overlayfs's mark, and not a program's
// own?
bool has_fuse_opaque_file(const Node& dir);

// The root of an overlay; perhaps not loaded.
Result<const Node*> lookup_root(Op& op, const Overlay& overlay);

// Makes sure of a node's attributes. The node is one of this op's; nothing is asked of an absent or
// outside one.
Result<void> ensure_loaded(Op& op, const Node& node);

// May the caller search this directory? EACCES.
Result<void> may_search(Op& op, const Node& dir);

// The node of a normalised absolute virtual path that holds no symlink but perhaps as its last name
// (a path that a walk or map_back() produced). Outside paths give an outside node. Errors: as
// lookup; ENOENT, ENOTDIR for what lies above the last name. For kPass neither the node nor the
// directory above it need be loaded.
Result<const Node*> node_at(Op& op, Str virt, Purpose purpose = Purpose::kResult);
// Likewise in the view of the session of this level, which may be one around the caller's.
Result<const Node*> node_at(Op& op, Str virt, Purpose purpose, uint32_t level);

// The same node looked up again: after taking a lock, what was seen before may be stale.
inline Result<const Node*> again(Op& op, const Node& node) { return node_at(op, node.virt); }

// Fills real/priv/mode/uid/gid/rdev of a node whose where/upper/lowers are set.
Result<void> load_attributes(Op& op, Node* node);

}  // namespace ovl
