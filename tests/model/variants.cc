#include "tests/model/variants.h"

namespace model {
namespace {

#define ALL_ON "redirect_dir=on,metacopy=on,index=on,xino=auto"
// Where the kernel is not sure by itself that the file systems' numbers leave room.
#define WIDE_NUMBERS "redirect_dir=on,metacopy=on,index=on,xino=on"
// An ordinary user cannot copy up what it may not read, and gives nothing away.
constexpr const char* kOrdinary = "unreadable,chown,owners";
constexpr const char* kTrusted = "--xattr=trusted";
constexpr const char* kPosix = "--perm=posix";

}  // namespace

const std::vector<Variant>& variants() {
  static const std::vector<Variant> table = {
      // name, the kernel's mount, as root, lowers, mount options, ovlrun's options, left out,
      // upper, lower
      {"owner", Kernel::kRoot, false, 1, ALL_ON, "", kOrdinary},
      {"owner-2", Kernel::kRoot, false, 2, ALL_ON, "", kOrdinary},
      {"owner-10", Kernel::kRoot, false, 10, ALL_ON, "", kOrdinary},
      {"root", Kernel::kRoot, true, 1, ALL_ON, kTrusted},
      {"root-2", Kernel::kRoot, true, 2, ALL_ON, kTrusted},
      {"root-10", Kernel::kRoot, true, 10, ALL_ON, kTrusted},
      {"no-index", Kernel::kRoot, true, 2, "redirect_dir=on,metacopy=on,index=off,xino=auto",
       "--xattr=trusted --index=off"},
      {"no-metacopy", Kernel::kRoot, true, 2, "redirect_dir=on,metacopy=off,index=on,xino=auto",
       "--xattr=trusted --metacopy=off"},
      {"no-redirect", Kernel::kRoot, true, 2,
       "redirect_dir=nofollow,metacopy=off,index=on,xino=auto",
       "--xattr=trusted --metacopy=off --redirect-dir=nofollow"},
      {"redirect-follow", Kernel::kRoot, true, 2,
       "redirect_dir=follow,metacopy=off,index=on,xino=auto",
       "--xattr=trusted --metacopy=off --redirect-dir=follow"},
      {"redirect-off", Kernel::kRoot, true, 2, "redirect_dir=off,metacopy=off,index=on,xino=auto",
       "--xattr=trusted --metacopy=off --redirect-dir=off"},
      {"posix", Kernel::kRoot, false, 2, ALL_ON, kPosix, "unreadable"},
      {"namespace", Kernel::kNamespace, false, 1, "userxattr",
       "--perm=posix --redirect-dir=nofollow --metacopy=off --index=off", kOrdinary},
      {"namespace-2", Kernel::kNamespace, false, 2, "userxattr",
       "--perm=posix --redirect-dir=nofollow --metacopy=off --index=off", kOrdinary},
      {"xfs", Kernel::kRoot, true, 2, ALL_ON, kTrusted, "", "xfs"},
      {"btrfs", Kernel::kRoot, true, 2, ALL_ON, kTrusted, "", "btrfs"},
      {"tmpfs", Kernel::kRoot, true, 2, ALL_ON, kTrusted, "", "tmpfs"},
      {"tmpfs-over-ext4", Kernel::kRoot, true, 2, WIDE_NUMBERS, kTrusted, "", "tmpfs", "ext4"},
      // Without a UUID: of several, a renamed file's origin can't tell the one that it is from.
      {"squashfs", Kernel::kRoot, true, 1, WIDE_NUMBERS, kTrusted, "overlong", "ext4", "squashfs"},
      {"erofs", Kernel::kRoot, true, 2, WIDE_NUMBERS, kTrusted, "longnames", "ext4", "erofs"},
  };
  return table;
}

const std::vector<Form>& forms() {
  static const std::vector<Form> table = {
      {"libc", "libc", "--intercept=preload"},
      {"raw", "raw", "--intercept=preload"},
      {"static", "static", "--intercept=both", true},
      {"seccomp", "libc", "--intercept=seccomp", true},
  };
  return table;
}

}  // namespace model
