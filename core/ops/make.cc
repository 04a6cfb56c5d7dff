// mkdirat, mknodat, symlinkat. Kernel counterpart: do_mkdirat(), do_mknodat(), do_symlinkat(),
// ovl_create_object().
#include <sys/stat.h>

#include "core/names/create.h"
#include "core/ops/ops.h"

namespace ovl {
namespace {

class NewDirectory final : public Creation {
 public:
  explicit NewDirectory(mode_t mode)
      : Creation((mode & S_IRWXU) == S_IRWXU ? Kind::kDirectory : Kind::kClosedDirectory),
        mode_(mode) {}
  Result<void> make(CStr real) override { return sys_mkdir(real, mode_); }

 private:
  const mode_t mode_;
};

class NewNode final : public Creation {
 public:
  NewNode(mode_t mode, dev_t device) : Creation(Kind::kOther), mode_(mode), device_(device) {}
  Result<void> make(CStr real) override { return sys_mknod(real, mode_, device_); }

 private:
  const mode_t mode_;
  const dev_t device_;
};

class NewSymlink final : public Creation {
 public:
  explicit NewSymlink(CStr text) : Creation(Kind::kOther), text_(text) {}
  Result<void> make(CStr real) override { return sys_symlink(text_.c_str(), real); }

 private:
  const CStr text_;
};

// EPERM, EINVAL. Kernel counterpart: may_mknod(), which comes before the path.
Result<void> check_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case 0:
    case S_IFCHR:
    case S_IFREG:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
      return {};
    case S_IFDIR:
      return Error(EPERM);
    default:
      return Error(EINVAL);
  }
}

// Whiteouts belong to the overlay, other devices to root. Kernel counterpart: vfs_mknod(),
// ovl_mknod().
bool may_make_device(Op& op, mode_t mode, unsigned device) {
  if (S_ISCHR(mode) && device == 0) return false;
  return !(S_ISCHR(mode) || S_ISBLK(mode)) || op.caller().credentials().override_dac;
}

long on_outside(Op& op, long number, const NamePath& target, long a2, long a3) {
  const auto path = reinterpret_cast<long>(target.walked().outside_path.c_str());
  return op.caller().raw(number, AT_FDCWD, path, a2, a3, 0, 0);
}

}  // namespace

Outcome op_mkdirat(Op& op, int dirfd, UserPath path, mode_t mode) {
  return until_still([&]() -> Outcome {
    NamePath target(op, dirfd);
    TRY(target.find(path, kParent));
    if (target.native()) return Outcome::native();
    if (target.outside()) return on_outside(op, SYS_mkdirat, target, mode, 0);
    NewDirectory creation(mode);
    return create_name(op, target, creation);
  });
}

Outcome op_mknodat(Op& op, int dirfd, UserPath path, mode_t mode, unsigned device) {
  TRY(check_type(mode));
  return until_still([&]() -> Outcome {
    NamePath target(op, dirfd);
    TRY(target.find(path, kParent));
    if (target.native()) return Outcome::native();
    if (target.outside()) return on_outside(op, SYS_mknodat, target, mode, device);
    if (!may_make_device(op, mode, device)) {
      const Walked& w = target.walked();
      TRY(may_create(op, w, Place{w.parent, w.node}, false));
      return Error(EPERM);
    }
    NewNode creation(mode, device);
    return create_name(op, target, creation);
  });
}

Outcome op_symlinkat(Op& op, UserPath text, int dirfd, UserPath path) {
  const CStr content = TRY(op.caller().copy_in_path(op.arena(), text));
  if (content.empty()) return Error(ENOENT);
  return until_still([&]() -> Outcome {
    NamePath target(op, dirfd);
    TRY(target.find(path, kParent));
    if (target.native()) return Outcome::native();
    if (target.outside()) {
      const auto from = reinterpret_cast<long>(content.c_str());
      const auto to = reinterpret_cast<long>(target.walked().outside_path.c_str());
      return op.caller().raw(SYS_symlinkat, from, AT_FDCWD, to, 0, 0, 0);
    }
    NewSymlink creation(content);
    return create_name(op, target, creation);
  });
}

}  // namespace ovl
