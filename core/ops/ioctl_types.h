// The ioctl requests that op_ioctl looks at, by their type (_IOC_TYPE). All others act on what a
// descriptor gives access to already: the supervisor's filter lets them pass.
#pragma once

#include <stdint.h>

namespace ovl {

inline constexpr uint8_t kFileSystemIoctls[] = {
    'f',   // ext2 and generic
    'v',   // versions
    'X',   // xfs and generic
    0x94,  // btrfs and generic
    0xf5,  // f2fs
    'r',   // fat
    'n',   // nilfs2
    'o',   // ocfs2
    'h',   // hfsplus
    0x97,  // ceph
    0xbc,  // bcachefs
    0xcd,  // reiserfs
    0xcf,  // cifs
};

}  // namespace ovl
