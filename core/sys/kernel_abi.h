// Kernel ABI that Debian 12's headers may lack, or that must not come from libc's own headers.
#pragma once

#include <stdint.h>
#include <sys/syscall.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif
#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif
#ifndef SYS_file_getattr
#define SYS_file_getattr 468
#define SYS_file_setattr 469
#endif
#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif

namespace ovl {

// struct stat as newfstatat(2) of x86-64 fills it is libc's struct stat; statx is the same
// everywhere. getdents64(2)'s record. d_name is NUL-terminated; d_reclen is a multiple of 8.
struct KernelDirent {
  uint64_t d_ino;
  int64_t d_off;
  uint16_t d_reclen;
  uint8_t d_type;
  char d_name[];
};

}  // namespace ovl
