// Files that libc opens behind its account and login functions. What only reads /etc/passwd and its
// like is libc's own affair; these write, and must not write to a lower.
#include <fcntl.h>
#include <paths.h>
#include <sys/time.h>
#include <time.h>
#include <utmp.h>

#include "core/sys/sys.h"
#include "core/walk/walk.h"
#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/next.h"
#include "preload/open.h"
#include "preload/real_path.h"

namespace ovl {
namespace {

constexpr char kPasswordLock[] = "/etc/.pwd.lock";  // _PATH_PASSWDLCK of libc
constexpr char kHostId[] = "/etc/hostid";           // HOSTIDFILE
constexpr int kLockSeconds = 15;
constexpr long kRetryNanoseconds = 20'000'000;

Next<int(const char*)> next_utmpname("utmpname");
Next<int(const char*)> next_utmpxname("utmpxname");
Next<long()> next_gethostid("gethostid");

std::atomic<int> password_lock_fd{-1};

// Waits for a write lock on the whole file, as long as libc does. -errno.
long lock_file(int fd, int seconds) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  for (long tries = seconds * (1'000'000'000 / kRetryNanoseconds);; tries--) {
    const long r = raw_call(SYS_fcntl, fd, F_SETLK, &lock);
    if (r != -EAGAIN && r != -EACCES) return r;
    if (tries == 0) return -ETIMEDOUT;
    const timespec pause = {0, kRetryNanoseconds};
    raw_call(SYS_nanosleep, &pause, nullptr);
  }
}

// libc remembers the name and opens it itself, later perhaps for writing: so it gets the upper's.
int set_name(int (*real)(const char*), const char* path) {
  Session* session = attached();
  if (session == nullptr || real == nullptr) return real != nullptr ? real(path) : -1;
  const long fd = open_kernel_style(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (fd >= 0) close_raw(static_cast<int>(fd));
  PreloadCaller caller;
  Op op(caller, *session);
  Result<CStr> there = real_path(op, path, kFollow);
  return real(there.ok() ? there.value().c_str() : path);
}

template <size_t size>
void fill(char (&field)[size], const char* text) {
  memset(field, 0, size);
  memcpy(field, text, strnlen(text, size));
}

}  // namespace

int ip_utmpname(const char* path) { return set_name(next_utmpname.get(), path); }
int ip_utmpxname(const char* path) { return set_name(next_utmpxname.get(), path); }

void ip_updwtmp(const char* path, const struct utmp* entry) {
  ErrnoSaver saver;
  const long opened = open_kernel_style(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (opened < 0) return;
  UniqueFd fd(static_cast<int>(opened));
  if (lock_file(fd.get(), 1) < 0) return;
  Result<off_t> end = sys_lseek(fd.get(), 0, SEEK_END);
  if (!end.ok()) return;
  // What a writer left half done is cut off.
  const off_t whole = end.value() - end.value() % static_cast<off_t>(sizeof *entry);
  ignore(sys_ftruncate(fd.get(), whole));
  if (!sys_pwrite(fd.get(), entry, sizeof *entry, whole).ok())
    ignore(sys_ftruncate(fd.get(), whole));
}

void ip_logwtmp(const char* line, const char* name, const char* host) {
  struct utmp entry = {};
  entry.ut_pid = sys_getpid();
  entry.ut_type = name[0] != 0 ? USER_PROCESS : DEAD_PROCESS;
  fill(entry.ut_line, line);
  fill(entry.ut_name, name);
  fill(entry.ut_host, host);
  timespec now;
  raw_call(SYS_clock_gettime, CLOCK_REALTIME, &now);
  entry.ut_tv.tv_sec = static_cast<int32_t>(now.tv_sec);
  entry.ut_tv.tv_usec = static_cast<int32_t>(now.tv_nsec / 1000);
  ip_updwtmp(_PATH_WTMP, &entry);
}

int ip_lckpwdf() {
  if (password_lock_fd.load(std::memory_order_relaxed) != -1) return -1;
  const int fd = static_cast<int>(
      libc_style(open_kernel_style(AT_FDCWD, kPasswordLock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  if (fd < 0) return -1;
  const long r = lock_file(fd, kLockSeconds);
  if (r < 0) {
    close_raw(fd);
    return static_cast<int>(libc_style(r));
  }
  password_lock_fd.store(fd, std::memory_order_relaxed);
  return 0;
}

int ip_ulckpwdf() {
  const int fd = password_lock_fd.exchange(-1);
  if (fd == -1) return -1;
  return static_cast<int>(libc_style(raw_call(SYS_close, fd)));
}

int ip_sethostid(long id) {
  const int32_t number = static_cast<int32_t>(id);
  if (number != id) {
    errno = EOVERFLOW;
    return -1;
  }
  const long opened =
      open_kernel_style(AT_FDCWD, kHostId, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  if (libc_style(opened) < 0) return -1;
  UniqueFd fd(static_cast<int>(opened));
  return libc_style(-write_all(fd.get(), &number, sizeof number).error()) < 0 ? -1 : 0;
}

long ip_gethostid() {
  const long opened = open_kernel_style(AT_FDCWD, kHostId, O_RDONLY | O_CLOEXEC, 0);
  if (opened >= 0) {
    UniqueFd fd(static_cast<int>(opened));
    int32_t number;
    Result<size_t> n = sys_read(fd.get(), &number, sizeof number);
    if (n.ok() && n.value() == sizeof number) return number;
  }
  auto* real = next_gethostid.get();  // from the host's address
  return real != nullptr ? real() : 0;
}

}  // namespace ovl
