// Prototypes of all interposers, from the table.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <utime.h>
#include <wordexp.h>

struct dl_phdr_info;
struct mount_attr;
struct statx;
struct utmp;

namespace ovl {
using ScandirSelect = int (*)(const struct dirent*);
using FtsCompare = int (*)(const FTSENT**, const FTSENT**);
using PhdrCallback = int (*)(struct dl_phdr_info*, size_t, void*);
using ScandirCompare = int (*)(const struct dirent**, const struct dirent**);
}  // namespace ovl

namespace ovl {
extern "C" {
// The asm label keeps the C++ name apart from libc's declaration of the same function.
#define IP_HAND(ret, name, params) \
  ret ip_##name params __asm__(#name) __attribute__((visibility("default")));
#define IP(ret, name, params, op, ...) IP_HAND(ret, name, params)
#define IP_NUMBER(ret, name, params, nr, ...) IP_HAND(ret, name, params)
#define IP_ALIAS(name, target)
#include "preload/interposers.def"
#undef IP
#undef IP_NUMBER
#undef IP_HAND
#undef IP_ALIAS
}  // extern "C"
}  // namespace ovl
