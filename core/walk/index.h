// The index of a workdir: the upper inodes of hard links of lowers, by what they were copied from.
// Kernel counterpart: ovl_get_index_name(), ovl_lookup_index().
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

// Could an inode of this layer, with these attributes, stand in the index when it is copied up?
bool may_index(const Overlay& overlay, const Layer& layer, const StatX& lower);

// What an indexed inode was copied from.
struct IndexKey {
  char origin[kFileHandleMax];
  size_t size = 0;  // 0: there is no handle
};
// Requires: may_index().
Result<IndexKey> index_key(const LowerRef& lower);
// Real path of the entry, whether or not it is there.
Result<CStr> index_path(Op& op, const Overlay& overlay, const char* origin, size_t size);
// That of a lower's object with these attributes. Empty: an index has none for it.
Result<CStr> index_entry(Op& op, const Overlay& overlay, const LowerRef& lower, const StatX& st);

// Is a lower's object, which has these attributes, the one that an origin names?
bool is_object_of(const Overlay& overlay, const FileHandle& origin, const LowerRef& lower,
                  const StatX& st);

}  // namespace ovl
