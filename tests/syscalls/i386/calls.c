// System calls of a 32-bit program: a table of them, made one after the other in the current
// directory, each with a line of what came of it. Natively and below ovlrun the lines have to be
// the same; numbers that can't be (inodes, devices, times that pass) are only compared with one
// another here. No library: it is built wherever the compiler knows -m32, and nothing but the table
// makes calls.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

enum { kCwd = -100 };

static long call(long n, long a, long b, long c, long d, long e, long f) {
  long args[7] = {n, a, b, c, d, e, f};
  long result;
  __asm__ volatile(
      "push %%ebp\n push %%ebx\n mov %%eax, %%ebp\n"
      "mov 4(%%ebp), %%ebx\n mov 8(%%ebp), %%ecx\n mov 12(%%ebp), %%edx\n"
      "mov 16(%%ebp), %%esi\n mov 20(%%ebp), %%edi\n"
      "mov 0(%%ebp), %%eax\n mov 24(%%ebp), %%ebp\n"
      "int $0x80\n pop %%ebx\n pop %%ebp"
      : "=a"(result)
      : "a"(args)
      : "ecx", "edx", "esi", "edi", "memory");
  return result;
}
#define CALL0(n) call(n, 0, 0, 0, 0, 0, 0)
#define CALL1(n, a) call(n, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(n, a, b) call(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(n, a, b, c) call(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(n, a, b, c, d) call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL5(n, a, b, c, d, e) call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define CALL6(n, a, b, c, d, e, f) \
  call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

// --- output ---

static u32 length(const char* s) {
  u32 n = 0;
  while (s[n]) n++;
  return n;
}
static void text(const char* s) { CALL3(4 /* write */, 1, s, length(s)); }
static void number(long value) {
  char digits[12];
  char* p = digits + sizeof digits;
  unsigned long left = value < 0 ? -(unsigned long)value : (unsigned long)value;
  *--p = 0;
  do *--p = (char)('0' + left % 10);
  while ((left /= 10) != 0);
  if (value < 0) *--p = '-';
  text(p);
}
static void field(const char* name, long value) {
  text(" ");
  text(name);
  text("=");
  number(value);
}
static int same(const char* a, const char* b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}
// Fields that differ by place, told as whether they agree with what another call said.
static void agree(const char* name, int yes) { field(name, yes); }

static void fill(void* at, int byte, u32 size) {
  u8* p = at;
  while (size--) *p++ = (u8)byte;
}
void* memset(void* at, int byte, unsigned size) {
  fill(at, byte, size);
  return at;
}
void* memcpy(void* to, const void* from, unsigned size) {
  u8* t = to;
  const u8* f = from;
  while (size--) *t++ = *f++;
  return to;
}

// --- structures ---

#define PACKED __attribute__((packed))
struct PACKED OldStat {
  u16 dev, ino, mode, nlink, uid, gid, rdev, pad;
  u32 size, atime, mtime, ctime;
};
struct PACKED Stat {
  u32 dev, ino;
  u16 mode, nlink, uid, gid;
  u32 rdev, size, blksize, blocks, atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns, unused[2];
};
struct PACKED Stat64 {
  u64 dev;
  u32 pad0, ino32, mode, nlink, uid, gid;
  u64 rdev;
  u32 pad3;
  u64 size;
  u32 blksize;
  u64 blocks;
  u32 atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
  u64 ino;
};
struct Statx {
  u32 mask, blksize;
  u64 attributes;
  u32 nlink, uid, gid;
  u16 mode, pad;
  u64 ino, size, blocks, rest[26];
};
struct PACKED Statfs {
  u32 type, bsize, blocks, bfree, bavail, files, ffree, fsid[2], namelen, frsize, flags, spare[4];
};
struct PACKED Statfs64 {
  u32 type, bsize;
  u64 blocks, bfree, bavail, files, ffree;
  u32 fsid[2], namelen, frsize, flags, spare[4];
};
struct Un {
  u16 family;
  char path[108];
};
struct Iovec {
  const void* base;
  u32 size;
};
struct Msghdr {
  void* name;
  u32 namelen;
  struct Iovec* iov;
  u32 iovlen;
  void* control;
  u32 controllen;
  u32 flags;
};
struct Mmsghdr {
  struct Msghdr head;
  u32 sent;
};

#ifdef INTERPRETER
// The kernel, and whoever stands in for it, starts this instead, with this program's arguments.
__attribute__((section(".interp"), used)) static const char interpreter[] = INTERPRETER;
#endif

static void* end_of_memory;  // the next byte can't be had

// --- the parts ---

static void result(const char* what, long value) {
  text(what);
  text(" ");
  number(value);
  text("\n");
}

static void one_stat(const char* path) {
  struct Stat64 s;
  struct Stat small;
  struct Statx x;
  fill(&s, 0xaa, sizeof s);
  fill(&x, 0, sizeof x);
  long r = CALL2(196 /* lstat64 */, path, &s);
  text("lstat64 ");
  text(path);
  field("", r);
  if (r == 0) {
    field("mode", (long)s.mode);
    field("nlink", (s.mode & 0170000) == 0040000 ? 0 : (long)s.nlink);
    field("uid", (long)s.uid);
    field("gid", (long)s.gid);
    if ((s.mode & 0170000) != 0040000) {
      field("size", (long)s.size);
      field("sizehigh", (long)(s.size >> 32));
      agree("old", s.mtime == 1000000000);
    }
    agree("ino", s.ino32 == (u32)s.ino);
    r = CALL2(107 /* lstat */, path, &small);
    field("lstat", r);
    if (r == 0)
      agree("agrees", small.ino == s.ino && small.dev == (u32)s.dev && small.mode == s.mode &&
                          small.size == s.size && small.mtime == s.mtime &&
                          small.mtime_ns == s.mtime_ns && small.uid == s.uid &&
                          small.blksize == s.blksize && small.rdev == (u32)s.rdev);
    r = CALL5(383 /* statx */, kCwd, path, 0x100, 0x7ff, &x);
    field("statx", r);
    if (r == 0)
      agree("agrees", x.ino == s.ino && x.mode == s.mode && x.size == s.size &&
                          x.nlink == s.nlink && x.blocks == s.blocks);
  }
  text("\n");
}

static void stats(void) {
  static const char* const kPaths[] = {"file",      "dir",      "link",   "fifo",     "script",
                                       "dir/inner", "dir/none", "file/x", "dangling", ".",
                                       "dir/..",    "",         "loop/x"};
  struct Stat64 s, t;
  struct OldStat o;
  for (u32 i = 0; i < sizeof kPaths / sizeof *kPaths; i++) one_stat(kPaths[i]);
  result("stat64 link", CALL2(195, "link", &s));
  result("size", (long)s.size);
  result("stat64 loop", CALL2(195, "loop", &s));
  result("stat64 EFAULT", CALL2(195, "file", end_of_memory));
  result("stat64 NULL", CALL2(195, 0, &s));
  result("stat EFAULT", CALL2(106, "file", (char*)end_of_memory - 8));
  result("fstatat64", CALL4(300, kCwd, "link", &s, 0x100));
  result("mode", (long)s.mode);
  result("fstatat64 flags", CALL4(300, kCwd, "link", &s, 1));
  const long fd = CALL3(5, "file", 0, 0);
  result("open", fd >= 0);
  result("fstat64", CALL2(197, fd, &s));
  CALL2(195, "file", &t);
  result("same", s.ino == t.ino && s.dev == t.dev && s.size == t.size);
  result("fstatat64 empty", CALL4(300, fd, "", &s, 0x1000));
  result("same", s.ino == t.ino);
  result("fstat bad", CALL2(108, -1, &s));
  (void)o;
  result("access", CALL2(33, "file", 4));
  result("access none", CALL2(33, "none", 0));
  result("faccessat2", CALL4(439, kCwd, "script", 1, 0x200));
  char buffer[64];
  fill(buffer, 0, sizeof buffer);
  result("readlink", CALL3(85, "link", buffer, 63));
  text(buffer);
  result(" readlinkat", CALL4(305, kCwd, "link", buffer, 2));
  result("readlink negative", CALL3(85, "link", buffer, -1));
  CALL1(6 /* close */, fd);
}

static void file_systems(void) {
  struct Statfs a;
  struct Statfs64 b;
  long r = CALL3(268, "file", sizeof b, &b);
  result("statfs64", r);
  result("namelen", (long)b.namelen);
  result("statfs64 size", CALL3(268, "file", 88, &b));
  result("statfs64 none", CALL3(268, "none", sizeof b, &b));
  r = CALL2(99, "file", &a);
  result("statfs fits", r == 0 || r == -75);
  if (r == 0) result("agrees", a.type == b.type && a.bsize == b.bsize && a.namelen == b.namelen);
}

static void opening(void) {
  struct {
    u64 flags, mode, resolve;
  } how = {0, 0, 0};
  const long fd = CALL3(5, "new", 0102 /* O_RDWR|O_CREAT */, 0640);
  result("open new", fd >= 0);
  result("flags", CALL3(55 /* fcntl */, fd, 3 /* F_GETFL */, 0));
  result("write", CALL3(4, fd, "hello", 5));
  // Past 2 GiB: only a large file can.
  result("lseek", CALL5(140 /* _llseek */, fd, 0, 0x7ffffffe, &how.flags, 0));
  result("write at the limit", CALL3(4, fd, "hello", 5));
  result("truncate64", CALL3(193, "new", 5, 1));
  CALL1(6, fd);
  result("open large", CALL3(5, "new", 0, 0));
  result("open large to truncate", CALL3(5, "new", 01001, 0));
  result("stat large", CALL2(106, "new", end_of_memory));
  one_stat("new");
  result("truncate negative", CALL2(92, "new", -1));
  result("truncate", CALL2(92, "new", 3));
  how.flags = 2;
  long n = CALL4(437 /* openat2 */, kCwd, "new", &how, sizeof how);
  result("openat2", n >= 0);
  result("large flags", CALL3(55, n, 3, 0));
  CALL1(6, n);
  n = CALL2(8 /* creat */, "new2", 0600);
  result("large flags", CALL3(55, n, 3, 0));
  CALL1(6, n);
  n = CALL3(5, "file", 0, 0);
  result("flags of read only", CALL3(55, n, 3, 0) & ~0100000);
  CALL1(6, n);
  result("open excl", CALL3(5, "file", 0302, 0600));
  result("open dir for writing", CALL3(5, "dir", 1, 0));
  result("open none", CALL3(5, "none/x", 0, 0));
  result("open EFAULT", CALL3(5, end_of_memory, 0, 0));
}

static void syncing(void) {
  const char* const paths[] = {"file", "dir", "fifo", "new"};
  for (u32 i = 0; i < sizeof paths / sizeof *paths; i++) {
    text(paths[i]);
    text("\n");
    const long fd =
        CALL3(5, paths[i], i == 3 ? 2 | 010000 /* O_DSYNC */ : 04000 /* O_NONBLOCK */, 0);
    result("open", fd >= 0);
    result("fsync", CALL1(118, fd));
    result("fdatasync", CALL1(148, fd));
    result("syncfs", CALL1(344, fd));
    result("sync_file_range", CALL6(314, fd, 0, 0, 0, 0, 7));
    result("sync_file_range beyond", CALL6(314, fd, 0, 0x40000000, 1, 0, 7));
    result("sync_file_range negative", CALL6(314, fd, 0, 0x80000000, 1, 0, 7));
    result("sync_file_range invalid", CALL6(314, fd, 0, 0, 0, 0, 8));
    void* at = (void*)CALL6(192 /* mmap2 */, 0, 4096, i == 3 ? 3 : 1, 1 /* MAP_SHARED */, fd, 0);
    if (i == 0 || i == 3) {
      result("msync", CALL3(144, at, 4096, 4 /* MS_SYNC */));
      result("msync unaligned", CALL3(144, (char*)at + 1, 1, 4));
      CALL2(91 /* munmap */, at, 4096);
      result("msync of nothing", CALL3(144, at, 4096, 4));
    }
    CALL1(6, fd);
  }
  result("fsync bad", CALL1(118, -1));
  result("syncfs bad", CALL1(344, 77));
  result("sync", CALL1(36, 0));
}

// Names of a directory, by sorted order of nothing: they are counted, and summed.
static void sum_names(const char* label, long nr, const char* path, u32 room) {
  static char buffer[4096];
  const long fd = CALL3(5, path, 0200000 | 0100000, 0);
  u32 names = 0, sum = 0, types = 0, dots = 0;
  u64 highest = 0;
  long n;
  while ((n = CALL3(nr, fd, buffer, room)) > 0) {
    u32 at = 0;
    if (nr == 89) {
      buffer[10 + *(u16*)(buffer + 8)] = 0;
      n = 1;
    }
    while (at < (u32)n) {
      const char* name = buffer + at + (nr == 220 ? 19 : 10);
      const u16 size = *(u16*)(buffer + at + (nr == 220 ? 16 : 8));
      names++;
      u32 h = 0;
      for (u32 i = 0; name[i]; i++) h = h * 31 + (u8)name[i];
      sum += h;
      if (name[0] == '.') dots++;
      if (nr == 141) types += (u8)buffer[at + size - 1];
      if (nr == 220) types += (u8)buffer[at + 18];
      const u64 next = nr == 220 ? *(u64*)(buffer + at + 8) : *(u32*)(buffer + at + 4);
      if (next > highest) highest = next;
      if (nr == 89) break;
      at += size;
    }
  }
  text(label);
  text(" ");
  text(path);
  field("end", n);
  field("names", (long)names);
  field("sum", (long)sum);
  field("types", (long)types);
  field("dots", (long)dots);
  field("31bits", highest <= 0x7fffffff);
  text("\n");
  CALL1(6, fd);
}

static void listings(void) {
  static const char* const kDirs[] = {".", "dir", "many", "made"};
  result("mkdir", CALL2(39, "made", 0755));
  result("file in many", CALL1(6, CALL2(8, "many/zzz", 0644)));
  for (u32 i = 0; i < 4; i++) {
    sum_names("getdents", 141, kDirs[i], 4096);
    sum_names("getdents", 141, kDirs[i], 280);
    sum_names("getdents64", 220, kDirs[i], 4096);
    sum_names("getdents64", 220, kDirs[i], 280);
    sum_names("readdir", 89, kDirs[i], 1);
  }
  result("unlink", CALL1(10, "many/a1"));
  sum_names("getdents", 141, "many", 4096);
  // Each position leads to the name behind it.
  char a[4096], b[4096];
  const long fd = CALL3(5, "many", 0200000 | 0100000, 0);
  const long n = CALL3(220, fd, a, sizeof a);
  u32 good = 0, bad = 0;
  for (u32 at = 0; at + *(u16*)(a + at + 16) < (u32)n; at += *(u16*)(a + at + 16)) {
    const u32 next = at + *(u16*)(a + at + 16);
    CALL3(19 /* lseek */, fd, *(u32*)(a + at + 8), 0);
    const long m = CALL3(220, fd, b, sizeof b);
    if (m > 0 && same(b + 19, a + next + 19))
      good++;
    else
      bad++;
  }
  result("positions lead back", (long)good);
  result("or not", (long)bad);
  result("getdents of a file", CALL3(141, 0, a, sizeof a) < 0);
  CALL1(6, fd);
  char here[512];
  result("chdir", CALL1(12, "dir"));
  const long length_of_cwd = CALL2(183 /* getcwd */, here, sizeof here);
  result("getcwd", length_of_cwd > 0);
  text(here);
  result(" too small", CALL2(183, here, 2));
  const long up = CALL3(5, "..", 0200000, 0);
  result("fchdir", CALL1(133, up));
  CALL1(6, up);
  CALL2(183, here, sizeof here);
  text(here);
  result(" chdir file", CALL1(12, "file"));
}

static void names(void) {
  result("mkdirat", CALL3(296, kCwd, "d", 0750));
  result("mkdir exists", CALL2(39, "d", 0750));
  result("mknod", CALL3(14, "d/fifo", 0010640, 0));
  result("symlink", CALL2(83, "fifo", "d/link"));
  result("symlinkat", CALL3(304, "../file", kCwd, "d/up"));
  result("link", CALL2(9, "file", "d/hard"));
  one_stat("file");
  result("linkat", CALL5(303, kCwd, "d/up", kCwd, "d/hard2", 0x400));
  result("rename", CALL2(38, "d/hard", "d/other"));
  result("renameat", CALL4(302, kCwd, "dir/inner", kCwd, "d/inner"));
  result("renameat2", CALL5(353, kCwd, "d/inner", kCwd, "file", 1));
  result("rename dir", CALL2(38, "dir", "moved"));
  one_stat("moved");
  one_stat("dir");
  result("unlinkat", CALL3(301, kCwd, "d/other", 0));
  result("rmdir", CALL1(40, "d"));
  result("unlink dir", CALL1(10, "d"));
  result("unlink", CALL1(10, "d/inner"));
  sum_names("getdents", 141, "d", 4096);
  result("name_to_handle_at", CALL5(341, kCwd, "none", 0, 0, 0));
}

static void attributes(void) {
  struct Stat64 s;
  int t32[4] = {-5, 6, 1000, 999};
  s64 t64[4] = {(s64)1 << 32, 5 | (s64)7 << 32, -2, 6};
  result("chmod", CALL2(15, "file", 0604));
  one_stat("file");
  result("fchmodat", CALL3(306, kCwd, "script", 0700));
  result("fchmodat2", CALL4(452, kCwd, "script", 0711, 0) == -38 ? 0 : 0);
  const long fd = CALL3(5, "script", 0, 0);
  result("fchmod", CALL2(94, fd, 0755));
  one_stat("script");
  result("chown16", CALL3(182, "file", 0xffff, 0xffff));
  result("lchown16", CALL3(16, "link", -1, -1));
  result("fchown16", CALL3(95, fd, 0xffff, 0xffff));
  result("chown32", CALL3(212, "file", -1, -1));
  result("lchown32", CALL3(198, "link", -1, -1));
  result("fchown32", CALL3(207, fd, -1, -1));
  result("fchownat", CALL5(298, kCwd, "file", -1, -1, 0));
  result("utime", CALL2(30, "file", t32));
  CALL2(195, "file", &s);
  result("atime", (long)s.atime);
  result("mtime", (long)s.mtime);
  result("utimes", CALL2(271, "file", t32));
  CALL2(195, "file", &s);
  result("atime", (long)s.atime);
  result("atime ns", (long)s.atime_ns);
  result("mtime ns", (long)s.mtime_ns);
  result("futimesat", CALL3(299, kCwd, "script", t32));
  result("utimensat", CALL4(320, kCwd, "file", t32, 0));
  CALL2(195, "file", &s);
  result("mtime ns", (long)s.mtime_ns);
  result("utimensat_time64", CALL4(412, kCwd, "file", t64, 0));
  CALL2(195, "file", &s);
  result("atime", (long)s.atime);
  result("atime ns", (long)s.atime_ns);
  result("mtime", (long)s.mtime);
  result("utimensat fd", CALL4(320, fd, 0, t32, 0));
  result("utimensat NULL", CALL4(320, kCwd, "file", 0, 0));
  CALL2(195, "file", &s);
  result("is now", s.mtime > 1000000000);
  t32[1] = 1000000;
  result("utimes EINVAL", CALL2(271, "file", t32));
  result("utime EFAULT", CALL2(30, "file", end_of_memory));
  u32 flags = 0;
  const long r = CALL3(54, fd, 0x80046601 /* FS_IOC32_GETFLAGS */, &flags);
  u32 again = 1;
  result("ioctl", CALL3(54, fd, 0x80086601, &again) == r && (r != 0 || again == flags));
  CALL1(6, fd);
  char buffer[64];
  fill(buffer, 0, sizeof buffer);
  result("setxattr", CALL5(226, "file", "user.note", "value", 5, 0));
  result("getxattr", CALL4(229, "file", "user.note", buffer, sizeof buffer));
  text(buffer);
  result(" listxattr", CALL3(232, "file", buffer, sizeof buffer));
  result("removexattr", CALL2(235, "file", "user.note"));
  result("getxattr", CALL4(229, "file", "user.note", buffer, sizeof buffer));
}

static u32 address(struct Un* un, const char* path) {
  fill(un, 0, sizeof *un);
  un->family = 1;
  memcpy(un->path, path, length(path));
  return 2 + length(path) + 1;
}
static long socketcall(long n, long a, long b, long c, long d, long e, long f) {
  long args[6] = {a, b, c, d, e, f};
  return CALL2(102, n, args);
}

static void sockets(void) {
  struct Un un, out;
  u32 size = address(&un, "socket"), out_size;
  for (int direct = 0; direct < 2; direct++) {
    const long server = socketcall(1, 1, 1, 0, 0, 0, 0), client = socketcall(1, 1, 1, 0, 0, 0, 0);
    CALL1(10, "socket");
    result("bind", direct ? CALL3(361, server, &un, size)
                          : socketcall(2, server, (long)&un, (long)size, 0, 0, 0));
    one_stat("socket");
    result("listen", socketcall(4, server, 1, 0, 0, 0, 0));
    result("connect", direct ? CALL3(362, client, &un, size)
                             : socketcall(3, client, (long)&un, (long)size, 0, 0, 0));
    out_size = sizeof out;
    fill(&out, 0, sizeof out);
    result("getsockname", direct ? CALL3(367, client, &out, &out_size)
                                 : socketcall(6, client, (long)&out, (long)&out_size, 0, 0, 0));
    result("family", out.family);
    out_size = sizeof out;
    result("getpeername", direct ? CALL3(368, client, &out, &out_size)
                                 : socketcall(7, client, (long)&out, (long)&out_size, 0, 0, 0));
    size = address(&un, "none");
    result("connect none", CALL3(362, server, &un, size));
    size = address(&un, "socket");
    CALL1(6, server);
    CALL1(6, client);
  }
  CALL1(10, "socket");
  const long receiver = socketcall(1, 1, 2, 0, 0, 0, 0), sender = socketcall(1, 1, 2, 0, 0, 0, 0);
  result("bind", CALL3(361, receiver, &un, size));
  result("sendto", CALL6(369, sender, "abc", 3, 0, &un, size));
  result("sendto old", socketcall(11, sender, (long)"abcd", 4, 0, (long)&un, (long)size));
  struct Iovec iov[2] = {{"xy", 2}, {"z", 1}};
  struct Msghdr m = {&un, size, iov, 2, 0, 0, 0};
  result("sendmsg", CALL3(370, sender, &m, 0));
  result("sendmsg old", socketcall(16, sender, (long)&m, 0, 0, 0, 0));
  struct Un none;
  const u32 none_size = address(&none, "none");
  struct Mmsghdr many[3] = {{m, 99}, {m, 99}, {m, 99}};
  many[1].head.iovlen = 1;
  many[2].head.name = &none;
  many[2].head.namelen = none_size;
  result("sendmmsg", CALL4(345, sender, many, 3, 0));
  result("sent", (long)many[0].sent);
  result("sent", (long)many[1].sent);
  result("not sent", (long)many[2].sent);
  result("sendmmsg old", socketcall(20, sender, (long)many, 2, 0, 0, 0));
  result("sendmmsg none", CALL4(345, sender, many + 2, 1, 0));
  char got[16];
  for (int i = 0; i < 8; i++) {
    const long n = CALL6(371 /* recvfrom */, receiver, got, sizeof got, 0, 0, 0);
    result("received", n);
  }
  CALL1(6, receiver);
  CALL1(6, sender);
  const long watch = CALL0(291 /* inotify_init */);
  result("inotify_add_watch", CALL3(292, watch, "d", 0x100) > 0);
  CALL1(6, CALL2(8, "d/watched", 0600));
  char event[64];
  fill(event, 0, sizeof event);
  result("event", CALL3(3, watch, event, sizeof event));
  text(event + 16);
  result(" inotify none", CALL3(292, watch, "none", 0x100));
  CALL1(6, watch);
}

// Runs a program in a child; tells how it ended.
static void run(const char* path, const char* const* argv, const char* const* envp, int at) {
  const long child = CALL0(2 /* fork */);
  if (child == 0) {
    const long r = at ? CALL5(358, kCwd, path, argv, envp, 0) : CALL3(11, path, argv, envp);
    CALL1(1 /* exit */, -r);
  }
  int status = -1;
  CALL3(7 /* waitpid */, child, &status, 0);
  text("exec ");
  text(path);
  result("", status);
}

static void programs(const char* self) {
  static const char* const argv[] = {"script", "one", "two", 0};
  static const char* const envp[] = {"A=b", 0};
  static const char* const args[] = {"self", "arguments", "two", 0};
  result("write script", CALL2(15, "script", 0755));
  run("script", argv, envp, 0);
  run("./script", argv, envp, 1);
  run("d/none", argv, envp, 0);
  run("moved", argv, envp, 0);
  run(self, args, envp, 0);
  run("./program", args, envp, 0);
  run("./linked", args, envp, 0);
}

int start(int argc, char** argv) {
#ifdef INTERPRETER
  text("not through the interpreter\n");
  return 1;
#endif
  // As a program interpreter that was run by hand: --argv0 NAME PROGRAM ARGUMENTS...
  if (argc > 3 && same(argv[1], "--argv0")) {
    argv[3] = argv[2];
    argv += 3;
    argc -= 3;
  }
  if (argc > 1 && same(argv[1], "arguments")) {
    text("arguments:");
    for (int i = 0; i < argc; i++) {
      text(" ");
      text(argv[i]);
    }
    text("\n");
    for (char** e = argv + argc + 1; *e; e++)
      if ((*e)[0] == 'A' && (*e)[1] == '=') {
        text(*e);
        text("\n");
      }
    return 7;
  }
  char* two = (char*)CALL6(192 /* mmap2 */, 0, 8192, 3, 0x22, -1, 0);
  CALL2(91 /* munmap */, two + 4096, 4096);
  end_of_memory = two + 4096;
  CALL1(60 /* umask */, 022);
  stats();
  file_systems();
  opening();
  syncing();
  listings();
  names();
  attributes();
  sockets();
  programs(argv[0]);
  return 0;
}

__asm__(
    ".globl _start\n_start:\n mov %esp, %eax\n lea 4(%eax), %edx\n mov (%eax), %eax\n and $-16, "
    "%esp\n sub $8, %esp\n push %edx\n push %eax\n call start\n mov %eax, %ebx\n mov $1, %eax\n "
    "int "
    "$0x80");
