// What reads through a descriptor: libc's own system calls, after stale descriptors have followed
// their files (core/ops/follow.h). One load, while none is stale. No dlsym here: these are called
// by allocators, and below dlsym itself.
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/next.h"

// libc's own, under names that nobody interposes.
extern "C" {
ssize_t __read(int fd, void* to, size_t size);
ssize_t __pread64(int fd, void* to, size_t size, off_t at);
void __chk_fail() __attribute__((noreturn));
}

namespace ovl {
namespace {

void follow() {
  if (Session* session = attached()) follow_if_stale(*session);
}

template <class... Args>
long call(long number, Args... args) {
  follow();
  return libc_style(raw_call(number, args...));
}

// For those that may wait.
template <class... Args>
long call_cancellable(long number, Args... args) {
  follow();
  long r;
  {
    CancellationPoint point;
    r = raw_call(number, args...);
  }
  return libc_style(r);
}

// Positions are given in two registers, the upper one of which 64-bit kernels ignore.
constexpr long kNoUpperHalf = 0;

}  // namespace

ssize_t ip_read(int fd, void* to, size_t size) {
  follow();
  return __read(fd, to, size);
}

ssize_t ip___read_chk(int fd, void* to, size_t size, size_t room) {
  if (size > room) __chk_fail();
  return ip_read(fd, to, size);
}

ssize_t ip_pread(int fd, void* to, size_t size, off_t at) {
  follow();
  return __pread64(fd, to, size, at);
}

ssize_t ip___pread_chk(int fd, void* to, size_t size, off_t at, size_t room) {
  if (size > room) __chk_fail();
  return ip_pread(fd, to, size, at);
}

ssize_t ip_readv(int fd, const struct iovec* to, int count) {
  return call_cancellable(SYS_readv, fd, to, count);
}

ssize_t ip_preadv(int fd, const struct iovec* to, int count, off_t at) {
  return call_cancellable(SYS_preadv, fd, to, count, at, kNoUpperHalf);
}

ssize_t ip_preadv2(int fd, const struct iovec* to, int count, off_t at, int flags) {
  return call_cancellable(SYS_preadv2, fd, to, count, at, kNoUpperHalf, flags);
}

off_t ip_lseek(int fd, off_t at, int whence) { return call(SYS_lseek, fd, at, whence); }

void* ip_mmap(void* address, size_t size, int protection, int flags, int fd, off_t at) {
  if ((flags & MAP_ANONYMOUS) == 0) follow();
  return reinterpret_cast<void*>(
      libc_style(raw_call(SYS_mmap, address, size, protection, flags, fd, at)));
}

ssize_t ip_sendfile(int out, int in, off_t* at, size_t size) {
  return call(SYS_sendfile, out, in, at, size);
}

ssize_t ip_splice(int in, off_t* in_at, int out, off_t* out_at, size_t size, unsigned flags) {
  return call_cancellable(SYS_splice, in, in_at, out, out_at, size, flags);
}

ssize_t ip_copy_file_range(int in, off_t* in_at, int out, off_t* out_at, size_t size,
                           unsigned flags) {
  return call_cancellable(SYS_copy_file_range, in, in_at, out, out_at, size, flags);
}

// Streams read inside of libc. Those that read one character at a time have no time for this.
#define OVL_STREAM(ret, name, params, ...)                            \
  ret ip_##name params {                                              \
    static Next<ret params> next(#name);                              \
    follow();                                                         \
    auto* real = next.get();                                          \
    return real != nullptr ? real(__VA_ARGS__) : static_cast<ret>(0); \
  }
OVL_STREAM(size_t, fread, (void* to, size_t size, size_t count, FILE* stream), to, size, count,
           stream)
OVL_STREAM(size_t, __fread_chk, (void* to, size_t room, size_t size, size_t count, FILE* stream),
           to, room, size, count, stream)
OVL_STREAM(size_t, __fread_unlocked_chk,
           (void* to, size_t room, size_t size, size_t count, FILE* stream), to, room, size, count,
           stream)
OVL_STREAM(size_t, fread_unlocked, (void* to, size_t size, size_t count, FILE* stream), to, size,
           count, stream)
OVL_STREAM(char*, fgets, (char* to, int size, FILE* stream), to, size, stream)
OVL_STREAM(char*, fgets_unlocked, (char* to, int size, FILE* stream), to, size, stream)
OVL_STREAM(char*, __fgets_chk, (char* to, size_t room, int size, FILE* stream), to, room, size,
           stream)
OVL_STREAM(char*, __fgets_unlocked_chk, (char* to, size_t room, int size, FILE* stream), to, room,
           size, stream)
OVL_STREAM(ssize_t, getline, (char** line, size_t* size, FILE* stream), line, size, stream)
OVL_STREAM(ssize_t, getdelim, (char** line, size_t* size, int end, FILE* stream), line, size, end,
           stream)
OVL_STREAM(ssize_t, __getdelim, (char** line, size_t* size, int end, FILE* stream), line, size, end,
           stream)
OVL_STREAM(int, __uflow, (FILE * stream), stream)
OVL_STREAM(int, __underflow, (FILE * stream), stream)
OVL_STREAM(int, fseek, (FILE * stream, long at, int whence), stream, at, whence)
OVL_STREAM(int, fseeko, (FILE * stream, off_t at, int whence), stream, at, whence)

}  // namespace ovl
