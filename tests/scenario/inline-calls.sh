#!/bin/bash
# Shows that a C program which makes its system calls by inline assembly works on the merged tree, linked dynamic, static and without any
# libc; and that so do programs which put a stricter seccomp filter of their own on top, whose refusals are theirs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need gcc
need_supervisor

mkdir -p tree/dir/sub
for i in {1..200}; do : >"tree/dir/$i"; done
echo "content" >tree/dir/file
ln -s dir/file tree/link

cat >calls.c <<'X'
// Only system calls, in the older and the newer words; no libc function.
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>

static long call6(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
#define CALL(n, a, b, c, d) call6(SYS_##n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static void say(const char* text) {
  unsigned long n = 0;
  while (text[n]) n++;
  CALL(write, 1, text, n, 0);
}
static void say_number(long n) {
  char digits[24], *at = digits + sizeof digits;
  const int negative = n < 0;
  unsigned long rest = negative ? -(unsigned long)n : (unsigned long)n;
  *--at = 0;
  do *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (negative) *--at = '-';
  say(at);
}
static void show(const char* what, long result) {
  say(what);
  say(" ");
  say_number(result);
  say("\n");
}
static void show_file(const char* path) {
  static char buffer[256];
  const long fd = CALL(open, path, O_RDONLY, 0, 0), n = CALL(read, fd, buffer, sizeof buffer - 1, 0);
  buffer[n < 0 ? 0 : n] = 0;
  say(path);
  say(fd < 0 ? " can't be opened\n" : ": ");
  say(buffer);
  CALL(close, fd, 0, 0, 0);
}
static long count(const char* path) {
  static char buffer[1000];
  const long fd = CALL(open, path, O_RDONLY | O_DIRECTORY, 0, 0);
  long entries = 0, n;
  while ((n = CALL(getdents64, fd, buffer, sizeof buffer, 0)) > 0)
    for (long at = 0; at < n; at += *(unsigned short*)(buffer + at + 16)) entries++;
  CALL(close, fd, 0, 0, 0);
  return n < 0 ? n : entries;
}

static char here[4096], block[256];
static struct statx facts;

static int body(long argc, char** argv, char** envp) {
  if (argc > 1) {
    CALL(getcwd, here, sizeof here, 0, 0);
    say("child in ");
    say(here);
    say("\n");
    show_file("sub/moved");
    return 7;
  }
  show_file("link");
  show("count", count("dir"));
  show("openat", CALL(openat, AT_FDCWD, "dir/file", O_WRONLY | O_APPEND, 0));
  show("write", CALL(write, 3, "more\n", 5, 0));
  show("close", CALL(close, 3, 0, 0, 0));
  show_file("dir/file");
  show("stat", CALL(stat, "dir/file", block, 0, 0));
  show("size", *(long*)(block + 48));
  show("lstat", CALL(lstat, "link", block, 0, 0));
  show("size", *(long*)(block + 48));
  show("statx", call6(SYS_statx, AT_FDCWD, (long)"dir/file", 0, STATX_ALL, (long)&facts, 0));
  show("size", (long)facts.stx_size);
  show("rename", CALL(rename, "dir/file", "dir/sub/moved", 0, 0));
  show("stat", CALL(stat, "link", block, 0, 0));
  show("unlink", CALL(unlink, "dir/1", 0, 0, 0));
  show("unlink", CALL(unlink, "dir/1", 0, 0, 0));
  show("mkdir", CALL(mkdir, "dir/new", 0755, 0, 0));
  show("rmdir", CALL(rmdir, "dir", 0, 0, 0));
  show("symlink", CALL(symlink, "sub/moved", "dir/soft", 0, 0));
  show("link", CALL(link, "dir/sub/moved", "dir/hard", 0, 0));
  show("readlink", CALL(readlink, "dir/soft", block, sizeof block, 0));
  show("chmod", CALL(chmod, "dir/hard", 0600, 0, 0));
  show("access", CALL(access, "dir/hard", 1, 0, 0));
  show("truncate", CALL(truncate, "dir/2", 10, 0, 0));
  show("creat", CALL(creat, "dir/created", 0640, 0, 0));
  show("fchmod", CALL(fchmod, 3, 0604, 0, 0));
  show("close", CALL(close, 3, 0, 0, 0));
  show("count", count("dir"));
  show("setxattr", call6(SYS_setxattr, (long)"dir/3", (long)"user.note", (long)"x", 1, 0, 0));
  show("chdir", CALL(chdir, "dir", 0, 0, 0));
  show_file("sub/moved");
  const long length = CALL(getcwd, here, sizeof here, 0, 0);
  show("length", length);
  say(here);
  say("\n");
  show("open", CALL(open, ".", O_RDONLY | O_DIRECTORY, 0, 0));
  show("chdir", CALL(chdir, "/", 0, 0, 0));
  show("fchdir", CALL(fchdir, 3, 0, 0, 0));
  show("close", CALL(close, 3, 0, 0, 0));
  char* arguments[] = {argv[0], "child", 0};
  const long child = CALL(fork, 0, 0, 0, 0);
  if (child == 0) {
    CALL(execve, argv[0], arguments, envp, 0);
    CALL(exit, 9, 0, 0, 0);
  }
  int status = 0;
  CALL(wait4, child, &status, 0, 0);
  show("child", status >> 8);
  return 0;
}
#ifdef FREESTANDING
__attribute__((naked)) void _start(void) { __asm__("mov %rsp, %rdi; and $-16, %rsp; call start"); }
__attribute__((used)) void start(long* stack) {
  char** argv = (char**)(stack + 1);
  CALL(exit, body(*stack, argv, argv + *stack + 1), 0, 0, 0);
}
#else
int main(int argc, char** argv, char** envp) { return body(argc, argv, envp); }
#endif
X
gcc -O1 -fno-stack-protector -o calls.dynamic calls.c
gcc -O1 -fno-stack-protector -DFREESTANDING -nostdlib -static -o calls.freestanding calls.c
gcc -O1 -fno-stack-protector -static -o calls.static calls.c 2>/dev/null || echo "SKIPPED part: no static libc here"

cat >filtered.c <<'X'
// The filter that the argument names, then some calls through libc.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ON(call, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define ELSE(action) BPF_STMT(BPF_RET | BPF_K, action)

static void install(struct sock_filter* filter, size_t size) {
  struct sock_fprog program = {(unsigned short)(size / sizeof *filter), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) perror("filter");
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (strcmp(argv[1], "refuse") == 0) {
    struct sock_filter filter[] = {LOAD, ON(mkdir, SECCOMP_RET_ERRNO | EDOM), ON(mkdirat, SECCOMP_RET_ERRNO | EDOM),
      ON(unlink, SECCOMP_RET_ERRNO | EXFULL), ON(unlinkat, SECCOMP_RET_ERRNO | EXFULL), ELSE(SECCOMP_RET_ALLOW)};
    install(filter, sizeof filter);
    const int made = mkdir("dir/x", 0755);
    printf("mkdir %d %s\n", made, strerror(errno));
    const int gone = unlink("dir/2");
    printf("unlink %d %s\n", gone, strerror(errno));
    FILE* file = fopen("dir/3", "a");
    fprintf(file, "appended\n");
    printf("close %d, rename %d\n", fclose(file), rename("dir/4", "dir/four"));
    return 0;
  }
  // Nothing but what a reader needs; anything else kills.
  struct sock_filter filter[] = {LOAD, ON(open, SECCOMP_RET_ALLOW), ON(openat, SECCOMP_RET_ALLOW), ON(read, SECCOMP_RET_ALLOW),
    ON(write, SECCOMP_RET_ALLOW), ON(close, SECCOMP_RET_ALLOW), ON(fstat, SECCOMP_RET_ALLOW), ON(newfstatat, SECCOMP_RET_ALLOW),
    ON(exit_group, SECCOMP_RET_ALLOW), ELSE(SECCOMP_RET_KILL_PROCESS)};
  install(filter, sizeof filter);
  char text[64];
  const int fd = open("link", O_RDONLY);
  const ssize_t n = read(fd, text, sizeof text);
  (void)!write(1, text, n > 0 ? (size_t)n : 0);
  close(fd);
  (void)!write(1, open("dir/none", O_RDONLY) < 0 && errno == ENOENT ? "absent\n" : "there\n", 7);
  if (strcmp(argv[1], "kill") == 0) mkdir("dir/y", 0755);
  _exit(0);
}
X
gcc -O1 -o filtered.dynamic filtered.c
gcc -O1 -static -o filtered.static filtered.c 2>/dev/null || true

for form in dynamic freestanding static; do
  [[ -e calls.$form ]] || continue
  export CALLS=$tmp/calls.$form
  # shellcheck disable=SC2016
  same "calls-$form" <<<'$CALLS; status=$?; ls dir | wc -l; exit $status'
  succeeded "calls-$form"
done
for form in dynamic static; do
  [[ -e filtered.$form ]] || continue
  export FILTERED=$tmp/filtered.$form
  # shellcheck disable=SC2016
  same "filtered-$form" <<<'ulimit -c 0; echo new >dir/file; for how in refuse read kill; do $FILTERED $how; echo "$how $?"; done 2>&1 | sed "s/^.*line.*: *[0-9]* //"'
done
