// See local_caller.h.
#include "core/caller/local_caller.h"

#include <limits.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>

#include "core/caller/deep_path.h"
#include "core/caller/followed.h"

namespace ovl {
namespace {

// What the kernel could never have mapped for a program: the first page and the upper half.
bool plausible(uintptr_t address) { return address >= 4096 && address < (uintptr_t{1} << 47); }

constexpr size_t kLinkMax = PATH_MAX;

// The end of it, a NUL.
char* put_number(char* to, unsigned number) {
  char digits[12];
  int count = 0;
  for (; count == 0 || number > 0; number /= 10) digits[count++] = char('0' + number % 10);
  while (count > 0) *to++ = digits[--count];
  *to = 0;
  return to;
}

// A child of vfork shares this memory, but not the descriptors: what it says would be taken for the
// parent's. A child of fork has a copy of both; there the page is wiped, which tells the two apart.
// Who comes first has the page, unless it is such a child.
struct FollowedPage {
  std::atomic<pid_t> process;
  std::atomic<uint64_t> count;
};
FollowedPage nothing_followed;
std::atomic<bool> follows{true};
std::atomic<uint64_t> forgotten{0};  // how often
std::atomic<FollowedPage*> followed_page{&nothing_followed};

FollowedPage* make_followed_page() {
  const long r = raw_call(SYS_mmap, nullptr, sizeof(FollowedPage), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (r < 0) return nullptr;
  auto* page = reinterpret_cast<FollowedPage*>(r);
  FollowedPage* expected = &nothing_followed;
  if (raw_call(SYS_madvise, page, sizeof(FollowedPage), MADV_WIPEONFORK) == 0 &&
      followed_page.compare_exchange_strong(expected, page))
    return page;
  raw_call(SYS_munmap, page, sizeof(FollowedPage));
  return expected != &nothing_followed ? expected : nullptr;
}

// Is the parent waiting for an exec, as after vfork? Where nobody may compare (a container's
// profile, a parent of another user): in such a sleep as files hardly ever keep it in.
bool shares_memory_with_parent() {
  const pid_t parent = static_cast<pid_t>(raw_call(SYS_getppid));
  if (parent == 0) return false;  // of another pid name space
  const long r = raw_call(SYS_kcmp, sys_getpid(), parent, KCMP_VM, 0, 0);
  if (r >= 0) return r == 0;
  if (r == -ESRCH) return false;
  char name[32] = "/proc/";
  char* w = name + strlen(name);
  w = put_number(w, static_cast<unsigned>(parent));
  memcpy(w, "/stat", 6);
  char text[128];
  const Result<UniqueFd> fd = sys_openat(CStr(name, strlen(name)), O_RDONLY);
  if (!fd.ok()) return true;  // perhaps
  const Result<size_t> n = sys_read(fd.value().get(), text, sizeof text);
  if (!n.ok()) return true;
  size_t at = n.value();  // behind the program's name, which may hold anything
  while (at > 0 && text[at - 1] != ')') at--;
  return at + 1 >= n.value() || text[at + 1] == 'D';
}

}  // namespace

void local_forget_followed() {
  forgotten.fetch_add(1);
  FollowedPage* page = followed_page.load(std::memory_order_relaxed);
  if (page != &nothing_followed) page->count.store(0);
}

void local_stop_following() { follows.store(false, std::memory_order_relaxed); }
bool local_follows() { return follows.load(std::memory_order_relaxed); }

uint64_t local_followed() {
  return followed_page.load(std::memory_order_relaxed)->count.load(std::memory_order_relaxed);
}

Result<CStr> LocalCaller::copy_in_path(Arena& arena, UserPath path) {
  if (!plausible(path.address())) return Error(EFAULT);
  const char* text = reinterpret_cast<const char*>(path.address());
  const size_t n = strnlen(text, PATH_MAX);
  if (n == PATH_MAX) return Error(ENAMETOOLONG);
  CStr copy = arena.dup(Str(text, n));
  if (copy.data() == nullptr) return Error(ENOMEM);
  return copy;
}

Result<CStr> LocalCaller::copy_in_string(Arena&, UserPath text, size_t limit) {
  if (!plausible(text.address())) return Error(EFAULT);
  const char* p = reinterpret_cast<const char*>(text.address());
  const size_t n = strnlen(p, limit);
  if (n == limit) return Error(E2BIG);
  return CStr(p, n);
}

Result<void> LocalCaller::copy_in(void* to, UserPtr<const void> from, size_t size) {
  if (size == 0) return {};
  if (!plausible(from.address())) return Error(EFAULT);
  memcpy(to, reinterpret_cast<const void*>(from.address()), size);
  return {};
}

Result<void> LocalCaller::copy_out(UserBuf to, const void* from, size_t size) {
  if (size == 0) return {};
  if (!plausible(to.address())) return Error(EFAULT);
  memcpy(reinterpret_cast<void*>(to.address()), from, size);
  return {};
}

Result<CStr> LocalCaller::cwd(Arena& arena) {
  char* buffer = arena.array<char>(kLinkMax);
  if (buffer == nullptr) return Error(ENOMEM);
  Result<size_t> length = sys_getcwd(buffer, kLinkMax);
  if (!length.ok() && length.error() == ENAMETOOLONG) return deep_path(arena, AT_FDCWD);
  size_t n = TRY(std::move(length));
  arena.trim(buffer, n + 1);
  if (buffer[0] != '/') return Error(ENOENT);  // "(unreachable)": outside this root
  return CStr(buffer, n);
}

Result<CStr> LocalCaller::fd_link(Arena& arena, int fd) {
  if (fd < 0) return Error(EBADF);
  char name[40] = "/proc/thread-self/fd/";
  char* const w = put_number(name + strlen(name), static_cast<unsigned>(fd));
  char* buffer = arena.array<char>(kLinkMax + 1);
  if (buffer == nullptr) return Error(ENOMEM);
  Result<size_t> n = sys_readlink(CStr(name, static_cast<size_t>(w - name)), buffer, kLinkMax);
  if (!n.ok() && n.error() == ENAMETOOLONG) return deep_path(arena, fd);
  if (!n.ok()) return Error(n.error() == ENOENT ? EBADF : n.error());
  buffer[n.value()] = 0;
  arena.trim(buffer, n.value() + 1);
  return CStr(buffer, n.value());
}

bool LocalCaller::closes_on_exec(int fd) {
  const long flags = raw_call(SYS_fcntl, fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

Result<BorrowedFd> LocalCaller::borrow(int fd) {
  if (fd < 0) return Error(EBADF);
  return BorrowedFd(fd);
}

Result<void> LocalCaller::fstat(int fd, struct stat* out) {
  return checked_void(raw_call(SYS_fstat, fd, out));
}

At LocalCaller::reach(Arena&, int dirfd, CStr path) { return At(dirfd, path); }

Result<Str> LocalCaller::proc_link(Arena& arena, CStr link) {
  constexpr size_t kMost = 64;
  char* text = arena.array<char>(kMost);
  if (text == nullptr) return Error(ENOMEM);
  return Str(text, TRY(sys_readlink(link, text, kMost)));
}

Credentials LocalCaller::credentials() {
  const uid_t uid = static_cast<uid_t>(raw_call(SYS_geteuid));
  const gid_t gid = static_cast<gid_t>(raw_call(SYS_getegid));
  return Credentials{uid, gid, uid == 0};
}

bool LocalCaller::in_group(gid_t gid) {
  if (gid == static_cast<gid_t>(raw_call(SYS_getegid))) return true;
  gid_t groups[128];
  long n = raw_call(SYS_getgroups, 128, groups);
  for (long i = 0; i < n; i++)
    if (groups[i] == gid) return true;
  return false;
}

mode_t LocalCaller::umask() {
  // umask(2) can only be read by setting it, which other threads would see; /proc tells since 4.7.
  constexpr mode_t kUsual = 022;
  Result<UniqueFd> fd = sys_openat(CStr("/proc/thread-self/status"), O_RDONLY);
  if (!fd.ok()) return kUsual;
  char text[256];
  Result<size_t> n = sys_read(fd.value().get(), text, sizeof text);
  if (!n.ok()) return kUsual;
  const Str status(text, n.value());
  const Str key("\nUmask:\t");
  for (size_t i = 0; i + key.size() < status.size(); i++) {
    if (!status.sub(i).starts_with(key)) continue;
    mode_t mask = 0;
    for (char c : status.sub(i + key.size())) {
      if (c < '0' || c > '7') break;
      mask = mask * 8 + static_cast<mode_t>(c - '0');
    }
    return mask;
  }
  return kUsual;
}

void LocalCaller::complain(Str line) { ignore(write_all(2, line.data(), line.size())); }

Outcome LocalCaller::give_fd(UniqueFd fd, int flags) {
  if ((flags & O_CLOEXEC) == 0) raw_call(SYS_fcntl, fd.get(), F_SETFD, 0);
  return fd.release();
}

Outcome LocalCaller::open_for_caller(CStr real, int flags, mode_t mode, Opens, bool) {
  At at(real);
  if (at.error()) return Error(at.error());
  return raw_call(SYS_openat, at.dirfd(), at.name(), flags, mode);
}

Result<UniqueFd> LocalCaller::open_of_task(CStr name) { return sys_openat(name, O_RDONLY); }

Outcome LocalCaller::change_directory(CStr real, bool) {
  At at(real);
  if (at.error()) return Error(at.error());
  if (at.dirfd() == AT_FDCWD) return raw_call(SYS_chdir, at.name());
  UniqueFd fd = TRY(sys_openat(at, O_PATH | O_DIRECTORY));
  return raw_call(SYS_fchdir, fd.get());
}

Outcome LocalCaller::execute(const ExecRequest& request) {
  if (request.dirfd == AT_FDCWD && request.flags == 0)
    return raw_call(SYS_execve, request.file.c_str(), request.argv, request.envp);
  return raw_call(SYS_execveat, request.dirfd, request.file.c_str(), request.argv, request.envp,
                  request.flags);
}

uint64_t LocalCaller::followed() {
  forgotten_ = forgotten.load();
  return local_followed();
}

void LocalCaller::set_followed(uint64_t count) {
  FollowedPage* page = followed_page.load(std::memory_order_relaxed);
  if (page == &nothing_followed) page = make_followed_page();
  if (page == nullptr) return;
  const pid_t self = sys_getpid();
  pid_t of = page->process.load();
  if (of == 0 && !shares_memory_with_parent() && page->process.compare_exchange_strong(of, self))
    of = self;
  if (of != self) return;
  page->count.store(count);
  // A descriptor that another thread has received meanwhile may have been missed.
  if (forgotten.load() != forgotten_) page->count.store(0);
}

pid_t LocalCaller::process() { return sys_getpid(); }

bool LocalCaller::owns_memory() {
  StatX tasks;
  constexpr unsigned kOne = 3;  // links of the directory: two, and one per task
  if (!sys_lstat(CStr("/proc/self/task"), &tasks).ok() || tasks.stx_nlink != kOne) return false;
  const FollowedPage* page = followed_page.load(std::memory_order_relaxed);
  return page->process.load() == sys_getpid() || !shares_memory_with_parent();
}

Result<DescriptorList> LocalCaller::descriptors(Arena& arena) {
  const UniqueFd dir = TRY(sys_openat(CStr("/proc/thread-self/fd"), O_RDONLY | O_DIRECTORY));
  return list_descriptors(arena, dir.get(), dir.get());
}

bool LocalCaller::share_open_file(int a, int b) {
  const pid_t self = sys_gettid();
  const long r = raw_call(SYS_kcmp, self, self, KCMP_FILE, a, b);
  if (r >= 0) return r == 0;
  // Not allowed to be asked (a container's profile). The signal of an open file that has no owner
  // is never sent.
  const long before = raw_call(SYS_fcntl, a, F_GETSIG);
  if (before < 0 || raw_call(SYS_fcntl, b, F_GETSIG) != before) return false;
  const long other = before == SIGURG ? SIGIO : SIGURG;
  if (raw_call(SYS_fcntl, a, F_SETSIG, other) < 0) return false;
  const bool same = raw_call(SYS_fcntl, b, F_GETSIG) == other;
  raw_call(SYS_fcntl, a, F_SETSIG, before);
  return same;
}

Result<void> LocalCaller::replace_fd(int number, int with) {
  return checked_void(raw_call(SYS_dup3, with, number, closes_on_exec(number) ? O_CLOEXEC : 0));
}

long LocalCaller::raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) {
  return raw_call(number, a0, a1, a2, a3, a4, a5);
}

}  // namespace ovl
