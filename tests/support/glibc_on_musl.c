// The functions of glibc that libstdc++.a, libgcc_eh.a and libgtest.a of a glibc distribution want
// and musl lacks. With them C++ that was compiled against glibc's headers links static with musl
// (tests/support/Musl.cmake): on x86-64 the two agree on the layout of everything that these tests
// pass to libc, and the system calls are then made by musl in musl's ways.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// "There may be threads": libstdc++ then counts references atomically.
char __libc_single_threaded = 0;

uint32_t arc4random(void) {
  uint32_t value = 0;
  (void)!getrandom(&value, sizeof value, 0);
  return value;
}

const char* strerrorname_np(int error) { return strerror(error); }

// --- calls that musl came to have later, or has not ---
#define WEAK __attribute__((weak))
WEAK int statx(int at, const char* path, int flags, unsigned mask, struct statx* st) {
  return (int)syscall(SYS_statx, at, path, flags, mask, st);
}
WEAK int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
}
WEAK int execveat(int at, const char* path, char* const arguments[], char* const environment[],
                  int flags) {
  return (int)syscall(SYS_execveat, at, path, arguments, environment, flags);
}

// --- fortified forms ---
int __vfprintf_chk(FILE* stream, int flag, const char* format, va_list arguments) {
  (void)flag;
  return vfprintf(stream, format, arguments);
}
int __fprintf_chk(FILE* stream, int flag, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int result = __vfprintf_chk(stream, flag, format, arguments);
  va_end(arguments);
  return result;
}
int __printf_chk(int flag, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int result = __vfprintf_chk(stdout, flag, format, arguments);
  va_end(arguments);
  return result;
}
int __snprintf_chk(char* to, size_t size, int flag, size_t room, const char* format, ...) {
  (void)flag;
  (void)room;
  va_list arguments;
  va_start(arguments, format);
  const int result = vsnprintf(to, size, format, arguments);
  va_end(arguments);
  return result;
}

// --- unwinding: where the frames of the one object are ---
struct found {
  struct dl_find_object* result;
  uintptr_t pc;
};

static int look_at(struct dl_phdr_info* info, size_t size, void* argument) {
  (void)size;
  struct found* found = argument;
  uintptr_t frames = 0, start = UINTPTR_MAX, end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* header = &info->dlpi_phdr[i];
    const uintptr_t at = info->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) frames = at;
    if (header->p_type != PT_LOAD) continue;
    if (at < start) start = at;
    if (at + header->p_memsz > end) end = at + header->p_memsz;
  }
  if (frames == 0 || found->pc < start || found->pc >= end) return 0;
  found->result->dlfo_map_start = (void*)start;
  found->result->dlfo_map_end = (void*)end;
  found->result->dlfo_eh_frame = (void*)frames;
  return 1;
}

int _dl_find_object(void* pc, struct dl_find_object* result) {
  struct found found = {result, (uintptr_t)pc};
  memset(result, 0, sizeof *result);
  return dl_iterate_phdr(look_at, &found) == 1 ? 0 : -1;
}
