// ioctl(2). Nearly all of them act on what a descriptor gives access to already. The exceptions are
// file systems' own ones, which change a file's flags, or a directory's names, through a descriptor
// that is open for reading only: on a lower object they must never reach the file system. Anything
// of such a kind that isn't known to only read is refused with ENOTTY, as the kernel's overlayfs
// does. Kernel counterpart: ovl_fileattr_set(), do_vfs_ioctl().
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/ops/clone.h"
#include "core/ops/ioctl_types.h"
#include "core/ops/target.h"

namespace ovl {
namespace {

enum class Kind : uint8_t {
  kNative,    // no file system's own, or it only reads, or it needs a descriptor that is open for
              // writing
  kGetFlags,  // reads attributes that may have been changed in the upper
  kSetFlags,
  kClone,
  kDedupe,
  kOther,  // may change something through a descriptor open for reading
};

bool is_file_systems(unsigned type) {
  for (const uint8_t one : kFileSystemIoctls)
    if (one == type) return true;
  return false;
}

// By group and number; the size of an argument differs between versions and word lengths of a
// request.
constexpr unsigned group(unsigned type, unsigned number) { return type << 8 | number; }

Kind kind_of(unsigned long request) {
  const unsigned type = _IOC_TYPE(request);
  if (!is_file_systems(type)) return Kind::kNative;
  switch (request) {
    case FS_IOC_GETFLAGS:
    case FS_IOC32_GETFLAGS:
    case FS_IOC_FSGETXATTR:
      return Kind::kGetFlags;
    case FS_IOC_SETFLAGS:
    case FS_IOC32_SETFLAGS:
    case FS_IOC_FSSETXATTR:
      return Kind::kSetFlags;
    case FIDEDUPERANGE:
      return Kind::kDedupe;
    case FICLONE:
    case FICLONERANGE:
      return Kind::kClone;
    case FS_IOC_FIEMAP:
    case FS_IOC_GETVERSION:
    case FS_IOC32_GETVERSION:
    case FS_IOC_GETFSLABEL:
    case FS_IOC_MEASURE_VERITY:
    case FS_IOC_READ_VERITY_METADATA:
    case FS_IOC_GET_ENCRYPTION_PWSALT:
    case FS_IOC_GET_ENCRYPTION_POLICY:
    case FS_IOC_GET_ENCRYPTION_POLICY_EX:
    case FS_IOC_GET_ENCRYPTION_KEY_STATUS:
    case FS_IOC_GET_ENCRYPTION_NONCE:
      return Kind::kNative;
    default:
      break;
  }
  switch (group(type, _IOC_NR(request))) {
    case group('f', 3):   // EXT4_IOC_GETVERSION
    case group('f', 18):  // EXT4_IOC_PRECACHE_EXTENTS
    case group('f', 41):  // EXT4_IOC_GETSTATE
    case group('f', 42):  // EXT4_IOC_GET_ES_CACHE
    case group('X', 30):  // XFS_IOC_DIOINFO
    case group('X', 38):  // XFS_IOC_GETBMAP
    case group('X', 44):  // XFS_IOC_GETBMAPA
    case group('X', 45):  // XFS_IOC_FSGETXATTRA
    case group('X', 56):  // XFS_IOC_GETBMAPX
    case group('X', 59):  // FS_IOC_GETFSMAP
    case group('X', 100):
    case group('X', 124):
    case group('X', 126):  // XFS_IOC_FSGEOMETRY*
    case group(0x94, 17):  // BTRFS_IOC_TREE_SEARCH, _V2
    case group(0x94, 18):  // BTRFS_IOC_INO_LOOKUP
    case group(0x94, 20):  // BTRFS_IOC_SPACE_INFO
    case group(0x94, 25):  // BTRFS_IOC_SUBVOL_GETFLAGS
    case group(0x94, 30):
    case group(0x94, 31):  // BTRFS_IOC_DEV_INFO, FS_INFO
    case group(0x94, 35):
    case group(0x94, 36):  // BTRFS_IOC_INO_PATHS, LOGICAL_INO
    // BTRFS_IOC_GET_SUBVOL_INFO, GET_SUBVOL_ROOTREF, INO_LOOKUP_USER
    case group(0x94, 60):
    case group(0x94, 61):
    case group(0x94, 62):
    // F2FS_IOC_GET_*, FAT's reading ones
    case group(0xf5, 12):
    case group(0xf5, 14):
    case group(0xf5, 17):
    case group(0xf5, 21):
    case group('r', 1):
    case group('r', 2):
    case group('r', 16):
    case group('r', 19):
      return Kind::kNative;
    default:
      return Kind::kOther;
  }
}

// FS_IOC_*FLAGS carry an int, whatever their numbers say.
size_t argument_size(unsigned long request) {
  return request == FS_IOC_FSGETXATTR || request == FS_IOC_FSSETXATTR ? sizeof(fsxattr)
                                                                      : sizeof(int);
}

union Argument {
  unsigned flags;
  fsxattr extended;
};

// The same request on an object that the caller may hold no descriptor of.
Result<void> on_object(const Object& object, unsigned long request, Argument* argument) {
  if (object.is_fd()) return checked_void(raw_call(SYS_ioctl, object.fd(), request, argument));
  UniqueFd fd = TRY(sys_openat(object.path(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY));
  return checked_void(raw_call(SYS_ioctl, fd.get(), request, argument));
}

unsigned long reading(unsigned long request) {
  return request == FS_IOC_FSSETXATTR || request == FS_IOC_FSGETXATTR ? FS_IOC_FSGETXATTR
                                                                      : FS_IOC_GETFLAGS;
}

bool same(unsigned long request, const Argument& a, const Argument& b) {
  if (request != FS_IOC_FSSETXATTR) return a.flags == b.flags;
  return a.extended.fsx_xflags == b.extended.fsx_xflags &&
         a.extended.fsx_projid == b.extended.fsx_projid &&
         a.extended.fsx_extsize == b.extended.fsx_extsize &&
         a.extended.fsx_cowextsize == b.extended.fsx_cowextsize;
}

// Are immutable or append-only asked for?
bool locks_file(unsigned long request, const Argument& argument) {
  if (request == FS_IOC_FSSETXATTR)
    return (argument.extended.fsx_xflags & (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)) != 0;
  return (argument.flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0;
}

Outcome get_flags(Op& op, const Target& t, unsigned long request, UserBuf out) {
  const Flags flags = flags_of(*t.node, t.top);
  if (t.top.is_fd() && !flags.immutable && !flags.append) return Outcome::native();
  Argument argument = {};
  TRY(on_object(t.top, reading(request), &argument));
  if (request == FS_IOC_FSGETXATTR) {
    if (flags.immutable) argument.extended.fsx_xflags |= FS_XFLAG_IMMUTABLE;
    if (flags.append) argument.extended.fsx_xflags |= FS_XFLAG_APPEND;
  } else {
    if (flags.immutable) argument.flags |= FS_IMMUTABLE_FL;
    if (flags.append) argument.flags |= FS_APPEND_FL;
  }
  return op.caller().copy_out(out, &argument, argument_size(request));
}

Outcome set_flags(Op& op, const Target& t, unsigned long request, UserBuf in) {
  Argument argument = {};
  TRY(op.caller().copy_in(&argument, in.as<const void>(), argument_size(request)));
  TRY(may_change(t));
  const Credentials who = op.caller().credentials();
  if (t.node->overlay->perm == Perm::kPosix && !who.override_dac && who.fsuid != t.node->uid)
    return Error(EPERM);
  Argument now = {};
  TRY(on_object(t.top, reading(request), &now));
  // `cp` and `tar` restore what is there already: nothing is copied up for that.
  if (!t.node->in_upper() && same(request, argument, now)) return 0;
  const bool locks = locks_file(request, argument);
  if (locks && !who.override_dac) return Error(EPERM);
  // An immutable upper can take no data later.
  return change(op, t, locks ? Data::kAll : Data::kNone, [&](const Changing& c) -> Result<void> {
    TRY(on_object(c.object, request, &argument));
    if (!c.node->priv.has(Priv::kProtattr)) return {};
    return ignore_if(c.object.remove(priv_name(c.node->format(), Priv::kProtattr)), ENODATA);
  });
}

// file_dedupe_range: rewrites where the targets' data is, for owners through descriptors open for
// reading too.
Outcome dedupe(Op& op, UserBuf in) {
  constexpr unsigned kMost = (4096 - sizeof(file_dedupe_range)) / sizeof(file_dedupe_range_info);
  file_dedupe_range head;
  TRY(op.caller().copy_in(&head, in.as<const void>(), sizeof head));
  if (head.dest_count > kMost) return Error(ENOMEM);
  for (unsigned i = 0; i < head.dest_count; i++) {
    file_dedupe_range_info info;
    const uintptr_t address = in.address() + sizeof head + i * sizeof info;
    TRY(op.caller().copy_in(&info, UserPtr<const void>(address), sizeof info));
    Result<Target> t = find_fd(op, static_cast<int>(info.dest_fd), FdUse::kAny);
    if (t.ok() && !t.value().native && t.value().on_lower) return Error(EOPNOTSUPP);
  }
  return Outcome::native();
}

Outcome on_found(Op& op, const Target& t, Kind kind, unsigned long request, UserBuf argument) {
  if (t.native || !(t.node->is_regular() || t.node->is_dir())) return Outcome::native();
  if (kind == Kind::kGetFlags) return get_flags(op, t, request, argument);
  if (kind == Kind::kSetFlags) return set_flags(op, t, request, argument);
  // A file of the upper is the caller's own; in a directory these make and remove names that only
  // one layer would have.
  if (t.top.is_fd() && t.node->in_upper() && t.node->is_regular()) return Outcome::native();
  return Error(ENOTTY);
}

}  // namespace

Outcome op_ioctl(Op& op, int fd, unsigned long request, UserBuf argument) {
  request &= 0xffffffff;  // as the kernel takes it
  const Kind kind = kind_of(request);
  if (kind == Kind::kNative) return Outcome::native();
  if (kind == Kind::kClone) return clone_range(op, fd, request, argument);
  if (kind == Kind::kDedupe) return dedupe(op, argument);
  return on_target([&] { return find_fd(op, fd, FdUse::kOpened); },
                   [&](const Target& t) { return on_found(op, t, kind, request, argument); });
}

}  // namespace ovl
