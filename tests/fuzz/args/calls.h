// The table of the calls that are tried, and what their parameters are.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <string_view>

// What a parameter is:
//   p path  P path for which something is made or removed  d directory descriptor  f descriptor
//   o open flags  a AT_ flags  m mode  n number  l length  b buffer  s short string (a name)
//   t two times  h open_how  H its size  v argv, envp  i owner  q ioctl request  A socket address
//   S its size  Z pointer to a size  M msghdr  D device  X mknod's mode  r renameat2's flags
//   x setxattr's flags
struct Call {
  const char* name;
  long number;
  const char* parameters;
};
#define CALL(name, parameters) \
  { #name, SYS_##name, parameters }
inline constexpr Call kCalls[] = {
    CALL(open, "pom"),        CALL(creat, "Pm"),
    CALL(openat, "dpom"),     CALL(openat2, "dphH"),
    CALL(newfstatat, "dpba"), CALL(statx, "dpanb"),
    CALL(fstat, "fb"),        CALL(stat, "pb"),
    CALL(lstat, "pb"),        {"faccessat2", 439, "dpna"},
    CALL(faccessat, "dpn"),   CALL(access, "pn"),
    CALL(readlinkat, "dpbl"), CALL(readlink, "pbl"),
    CALL(statfs, "pb"),       CALL(fstatfs, "fb"),
    CALL(getdents64, "fbl"),  CALL(getdents, "fbl"),
    CALL(chdir, "p"),         CALL(fchdir, "f"),
    CALL(getcwd, "bl"),       CALL(mkdirat, "dPm"),
    CALL(mkdir, "Pm"),        CALL(mknodat, "dPXD"),
    CALL(mknod, "PXD"),       CALL(symlinkat, "sdP"),
    CALL(symlink, "sP"),      CALL(linkat, "dpdPa"),
    CALL(link, "pP"),         CALL(unlinkat, "dPa"),
    CALL(unlink, "P"),        CALL(rmdir, "P"),
    CALL(renameat2, "dPdPr"), CALL(renameat, "dPdP"),
    CALL(rename, "PP"),       {"fchmodat2", 452, "dpma"},
    CALL(fchmodat, "dpm"),    CALL(chmod, "pm"),
    CALL(fchmod, "fm"),       CALL(fchownat, "dpiia"),
    CALL(chown, "pii"),       CALL(lchown, "pii"),
    CALL(fchown, "fii"),      CALL(utimensat, "dpta"),
    CALL(utime, "pt"),        CALL(futimesat, "dpt"),
    CALL(utimes, "pt"),       CALL(truncate, "pl"),
    CALL(ioctl, "fqb"),       CALL(setxattr, "psblx"),
    CALL(lsetxattr, "psblx"), CALL(fsetxattr, "fsblx"),
    CALL(getxattr, "psbl"),   CALL(lgetxattr, "psbl"),
    CALL(fgetxattr, "fsbl"),  CALL(listxattr, "pbl"),
    CALL(llistxattr, "pbl"),  CALL(flistxattr, "fbl"),
    CALL(removexattr, "ps"),  CALL(lremovexattr, "ps"),
    CALL(fremovexattr, "fs"), CALL(execve, "pvv"),
    CALL(execveat, "dpvva"),  CALL(bind, "fAS"),
    CALL(connect, "fAS"),     CALL(sendto, "fblnAS"),
    CALL(sendmsg, "fMn"),     CALL(getsockname, "fbZ"),
    CALL(getpeername, "fbZ"), CALL(inotify_add_watch, "fpn"),
    CALL(fsync, "f"),         CALL(fdatasync, "f"),
    CALL(syncfs, "f"),        CALL(sync_file_range, "fnnn"),
    CALL(msync, "bln"),
};
#undef CALL

// Is each trapped call in the table? What is left out is said here.
inline bool is_left_out(std::string_view name) {
  return name == "name_to_handle_at"            // refused, as the kernel's overlayfs does
         || name == "sendmmsg"                  // tests/syscalls
         || name == "flock" || name == "fcntl"  // may wait for ever
         || name == "sync";                     // takes no arguments
}
inline void check_table() {
  static constexpr const char* kTrapped[] = {
#define OVL_OP(name, ...) #name,
#define OVL_LEGACY(name, ...) #name,
#include "core/ops/ops.def"
  };
  for (const char* name : kTrapped) {
    bool found = is_left_out(name);
    for (const Call& call : kCalls) found = found || strcmp(call.name, name) == 0;
    if (found) continue;
    fprintf(stderr, "tests/fuzz/args does not know %s\n", name);
    exit(2);
  }
}
