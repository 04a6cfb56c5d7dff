// Copies of objects of an upper as they really are, not as programs see them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "core/base/result.h"
#include "core/base/str.h"

namespace ovl {

struct Attributes {
  uid_t uid;
  gid_t gid;
  mode_t mode;  // with its type
};

// The name that an xattr has on the copy; nullopt: it has none. May throw Failure.
using NewName = std::function<std::optional<std::string>(const std::string& name)>;

// Gives `to`, just made and this user's own, these attributes and the xattrs of `from`. The order
// is bound: an ACL sets permission bits, chown(2) drops setuid bits and capabilities. Errors: EPERM
// (not this user's to give), what the calls say.
Result<void> give_attributes(CStr from, CStr to, const Attributes& attributes,
                             const NewName& new_name);

}  // namespace ovl
