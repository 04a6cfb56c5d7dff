// What an object's private xattrs and records say of it. (load_attributes() is in lookup.h.) Kernel
// counterpart: ovl_path_getxattr(); none for records.
#pragma once

#include "core/caller/op.h"
#include "core/sys/object.h"
#include "core/walk/node.h"

namespace ovl {

// Value of a private xattr; an absent one is empty with data() == nullptr.
Result<Str> read_value(Op& op, XattrFormat format, CStr real, Priv which);

// Copies what the kernel says of an object of the layer into the node, then what is recorded over
// it.
Result<void> set_attributes(Op& op, const Layer& layer, CStr real, const StatX& st, Node* node);

// The attributes of an object that has these private xattrs as they are to be seen while its data
// is on its way.
Result<void> show_filling(XattrFormat format, const Object& object, PrivSet priv, StatX* real);

}  // namespace ovl
