// See object_copy.h.
#include "launcher/upper/object_copy.h"

#include <string.h>
#include <sys/stat.h>

#include <vector>

#include "core/sys/sys.h"

namespace ovl {
namespace {

constexpr size_t kXattrMost = 65536;  // XATTR_LIST_MAX, XATTR_SIZE_MAX

bool is_security(const std::string& name) { return name.starts_with("security."); }

class XattrGift {
 public:
  XattrGift(CStr from, CStr to, const NewName& new_name)
      : from_(from), to_(to), new_name_(new_name), list_(kXattrMost), value_(kXattrMost) {}

  Result<void> read_list() {
    const Result<size_t> size = sys_llistxattr(from_, list_.data(), list_.size());
    if (!size.ok() && size.error() != EOPNOTSUPP) return Error(size.error());
    list_.resize(size.ok() ? size.value() : 0);
    return {};
  }
  // Those that are security.* on the copy, or all others.
  Result<void> give(bool security) {
    for (size_t at = 0; at < list_.size(); at += strlen(list_.data() + at) + 1) {
      const std::string name = list_.data() + at;
      const std::optional<std::string> to_name = new_name_(name);
      if (!to_name || is_security(*to_name) != security) continue;
      const Result<size_t> size = sys_lgetxattr(from_, name.c_str(), value_.data(), value_.size());
      if (!size.ok()) return Error(size.error());
      TRY(sys_lsetxattr(to_, to_name->c_str(), value_.data(), size.value()));
    }
    return {};
  }

 private:
  const CStr from_, to_;
  const NewName& new_name_;
  std::vector<char> list_, value_;
};

}  // namespace

Result<void> give_attributes(CStr from, CStr to, const Attributes& attributes,
                             const NewName& new_name) {
  XattrGift xattrs(from, to, new_name);
  TRY(xattrs.read_list());
  TRY(xattrs.give(false));
  StatX now;
  TRY(sys_lstat(to, &now));
  if (now.stx_uid != attributes.uid || now.stx_gid != attributes.gid)
    TRY(sys_chown(to, attributes.uid, attributes.gid));
  if (!S_ISLNK(attributes.mode)) TRY(sys_chmod(to, attributes.mode & 07777));
  return xattrs.give(true);
}

}  // namespace ovl
