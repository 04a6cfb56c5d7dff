// See remote_caller.h.
#include "launcher/supervisor/remote_caller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "core/caller/deep_path.h"
#include "core/caller/followed.h"
#include "core/walk/removed.h"
#include "launcher/supervisor/backtrace.h"
#include "launcher/supervisor/identity.h"

namespace ovl {
namespace {

constexpr uintptr_t kPage = 4096;
constexpr unsigned kOfThread = O_EXCL;  // PIDFD_THREAD, Linux 6.9
constexpr size_t kLinkMax = PATH_MAX;

// The numbers of the calls that the assist makes, by the table of the caller.
struct Numbers {
  long openat, chdir, execve;
};
constexpr Numbers kNative = {SYS_openat, SYS_chdir, SYS_execve};
constexpr Numbers kI386 = {295, 12, 11};
const Numbers& numbers(CallAbi abi) { return abi == CallAbi::kI386 ? kI386 : kNative; }

CStr view(const std::string& text) { return CStr(text.c_str(), text.size()); }

}  // namespace

RemoteCaller::RemoteCaller(Notification& call, RemoteContext& context)
    : call_(call), context_(context) {}

CallAbi RemoteCaller::abi() const {
  return call_.data().arch == AUDIT_ARCH_I386 ? CallAbi::kI386 : CallAbi::kNative;
}

Result<const TaskStatus*> RemoteCaller::status() {
  if (!status_) {
    status_ = TRY(read_status(call_.tid()));
    if (!call_.valid()) return Error(ESRCH);
  }
  return &*status_;
}

const TaskStatus* RemoteCaller::who() {
  if (!context_.credentials_change.load(std::memory_order_relaxed)) return &context_.own;
  Result<const TaskStatus*> of = status();
  return of.ok() ? of.value() : nullptr;
}

// --- memory ---

// EFAULT: it is not mapped; EPERM: the task does not let itself be read.
Result<void> RemoteCaller::read_page(uintptr_t page) {
  page_at_ = 1;
  struct iovec local = {page_, kPage};
  struct iovec remote = {reinterpret_cast<void*>(page), kPage};  // NOLINT: an address over there
  const ssize_t n = process_vm_readv(call_.tid(), &local, 1, &remote, 1, 0);
  if (n < 0 && errno != EINVAL) return Error(errno);
  if (n != static_cast<ssize_t>(kPage)) return Error(EFAULT);
  if (!call_.valid()) return Error(ESRCH);
  page_at_ = page;
  return {};
}

Result<void> RemoteCaller::copy_in(void* to, UserPtr<const void> from, size_t size) {
  auto* out = static_cast<char*>(to);
  uintptr_t at = from.address();
  while (size > 0) {
    const uintptr_t page = at & ~(kPage - 1);
    if (page_at_ != page) TRY(read_page(page));
    const size_t part = std::min(size, page + kPage - at);
    memcpy(out, page_ + (at - page), part);
    out += part;
    at += part;
    size -= part;
  }
  return {};
}

Result<void> RemoteCaller::copy_out(UserBuf to, const void* from, size_t size) {
  page_at_ = 1;
  // It has been told the result, and may use its memory for something else by now: what it has to
  // know came with that (Assist).
  if (call_.answered()) return {};
  size_t done = 0;
  while (done < size) {
    const size_t part = std::min(size - done, kPage - (to.address() + done) % kPage);
    struct iovec local = {const_cast<char*>(static_cast<const char*>(from)) + done, part};
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address over there
    struct iovec remote = {reinterpret_cast<void*>(to.address() + done), part};
    const ssize_t n = process_vm_writev(call_.tid(), &local, 1, &remote, 1, 0);
    if (n != static_cast<ssize_t>(part)) return Error(n < 0 ? errno : EFAULT);
    done += part;
  }
  return {};
}

Result<CStr> RemoteCaller::copy_in_string(Arena& arena, UserPath text, size_t limit) {
  size_t size = 0;
  uintptr_t at = text.address();
  // Its size first: the pages are kept, and mostly it lies in one.
  for (;;) {
    char first;
    TRY(copy_in(&first, UserPtr<const void>(at), 1));
    const char* from = page_ + (at - page_at_);
    const size_t room = page_at_ + kPage - at;
    const size_t n = strnlen(from, room);
    size += n;
    if (size >= limit) return Error(E2BIG);
    if (n < room) break;
    at += n;
  }
  char* copy = arena.array<char>(size + 1);
  if (copy == nullptr) return Error(ENOMEM);
  TRY(copy_in(copy, UserPtr<const void>(text.address()), size));
  copy[size] = 0;
  // Another thread of the task may have changed it in between.
  return CStr(copy, strlen(copy));
}

Result<CStr> RemoteCaller::copy_in_path(Arena& arena, UserPath path) {
  Result<CStr> text = copy_in_string(arena, path, PATH_MAX);
  if (!text.ok() && text.error() == E2BIG) return Error(ENAMETOOLONG);
  return text;
}

// --- where it is ---

Result<CStr> RemoteCaller::link_of(Arena& arena, const std::string& link) {
  char* buffer = arena.array<char>(kLinkMax + 1);
  if (buffer == nullptr) return Error(ENOMEM);
  Result<size_t> n = sys_readlink(view(link), buffer, kLinkMax);
  if (!n.ok() && n.error() == ENAMETOOLONG) {
    UniqueFd fd = TRY(sys_openat(view(link), O_PATH));
    return deep_path(arena, fd.get());
  }
  const size_t size = TRY(std::move(n));
  buffer[size] = 0;
  if (!call_.valid()) return Error(ESRCH);
  return CStr(buffer, size);
}

Result<CStr> RemoteCaller::cwd(Arena& arena) {
  const std::string link = proc_path(call_.tid(), "cwd");
  const CStr real = TRY(link_of(arena, link));
  if (real.empty() || real[0] != '/') return Error(ENOENT);  // "(unreachable)"
  StatX st;
  if (has_deleted_mark(real) && (!sys_statx(view(link), 0, &st).ok() || st.stx_nlink == 0))
    return Error(ENOENT);
  return real;
}

Result<CStr> RemoteCaller::fd_link(Arena& arena, int fd) {
  if (fd < 0) return Error(EBADF);
  Result<CStr> link = link_of(arena, fmt::format("/proc/{}/fd/{}", call_.tid(), fd));
  if (!link.ok() && link.error() == ENOENT) return Error(EBADF);
  // It became another user and has executed nothing since: its /proc/<tid>/fd is root's.
  if (!link.ok() && link.error() == EACCES) {
    const BorrowedFd borrowed = TRY(borrow(fd));
    return link_of(arena, fmt::format("/proc/thread-self/fd/{}", borrowed.get()));
  }
  return link;
}

Result<BorrowedFd> RemoteCaller::borrow(int fd) {
  if (fd < 0) return Error(EBADF);
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, call_.tid(), kOfThread)));
  if (!pidfd.valid() && errno == EINVAL) {
    const TaskStatus* of = TRY(status());
    pidfd = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, of->tgid, 0)));
  }
  if (!pidfd.valid()) return Error(errno);
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), fd, 0)));
  if (!copy.valid()) return Error(errno);
  if (!call_.valid()) return Error(ESRCH);
  return BorrowedFd(std::move(copy));
}

bool RemoteCaller::closes_on_exec(int fd) {
  Result<unsigned> flags = fd_flags(call_.tid(), fd);
  return flags.ok() && (flags.value() & O_CLOEXEC) != 0;
}

// One call; to borrow it would be four.
Result<void> RemoteCaller::fstat(int fd, struct stat* out) {
  if (fd < 0) return Error(EBADF);
  const std::string name = fmt::format("/proc/{}/fd/{}", call_.tid(), fd);
  const long r = raw_call(SYS_newfstatat, AT_FDCWD, name.c_str(), out, 0);
  if (r == -ENOENT) return Error(EBADF);
  if (r == -EACCES) {  // as in fd_link()
    const BorrowedFd borrowed = TRY(borrow(fd));
    return ::fstat(borrowed.get(), out) == 0 ? Result<void>() : Result<void>(Error(errno));
  }
  if (r < 0) return Error(static_cast<int>(-r));
  return call_.valid() ? Result<void>() : Result<void>(Error(ESRCH));
}

At RemoteCaller::reach(Arena& arena, int dirfd, CStr path) {
  if (!path.empty() && path[0] == '/') {
    for (CStr own : {CStr("/proc/self"), CStr("/proc/thread-self")}) {
      if (!is_below_or_same(path, own)) continue;
      Result<Str> link = proc_link(arena, own);
      if (link.ok())
        return At(AT_FDCWD, arena.concat("/proc/", link.value(), path.sub(own.size())));
    }
    return At(AT_FDCWD, path);
  }
  const std::string start = dirfd == AT_FDCWD ? proc_path(call_.tid(), "cwd/")
                                              : fmt::format("/proc/{}/fd/{}/", call_.tid(), dirfd);
  return At(AT_FDCWD, arena.concat(view(start), path));
}

// Mostly it is its own group's first thread, and one call tells that.
Result<pid_t> RemoteCaller::thread_group() {
  if (status_) return status_->tgid;
  if (syscall(SYS_tgkill, call_.tid(), call_.tid(), 0) == 0) {
    if (!call_.valid()) return Error(ESRCH);
    return call_.tid();
  }
  return TRY(status())->tgid;
}

Result<Str> RemoteCaller::proc_link(Arena& arena, CStr link) {
  const pid_t tgid = TRY(thread_group());
  const std::string text = link == Str("/proc/self") ? fmt::format("{}", tgid)
                                                     : fmt::format("{}/task/{}", tgid, call_.tid());
  return arena.dup(view(text));
}

// --- who it is ---

Credentials RemoteCaller::credentials() {
  constexpr uint64_t kDacOverride = 1 << 1;  // CAP_DAC_OVERRIDE
  const TaskStatus* is = who();
  if (is == nullptr) return Credentials{context_.own.fsuid, context_.own.fsgid, false};
  return Credentials{is->fsuid, is->fsgid, is->fsuid == 0 && (is->effective & kDacOverride) != 0};
}

bool RemoteCaller::in_group(gid_t gid) {
  const TaskStatus* is = who();
  return is != nullptr && (is->fsgid == gid || std::find(is->groups.begin(), is->groups.end(),
                                                         gid) != is->groups.end());
}

mode_t RemoteCaller::umask() {
  Result<const TaskStatus*> of = status();
  return of.ok() ? of.value()->umask : 022;
}

void RemoteCaller::complain(Str line) {
  Result<BorrowedFd> to = borrow(2);
  if (to.ok()) ignore(write_all(to.value().get(), line.data(), line.size()));
}

// --- what changes it ---

Outcome RemoteCaller::give_fd(UniqueFd fd, int flags) {
  const bool close_on_exec = (flags & O_CLOEXEC) != 0;
  const bool only_reads = (fcntl(fd.get(), F_GETFL) & O_ACCMODE) == O_RDONLY;
  // Ours is closed before the task goes on: the program's close is to be the last of a file that is
  // open for writing (ETXTBSY, leases, inotify's IN_CLOSE_WRITE).
  Result<int> number =
      only_reads ? call_.give(fd.get(), close_on_exec) : call_.put(fd.get(), close_on_exec);
  if (!number.ok()) return Error(number.error());
  return number.value();
}

Result<void> RemoteCaller::has_room_for_fd() {
  struct rlimit limit;
  if (prlimit(call_.tid(), RLIMIT_NOFILE, nullptr, &limit) != 0) return {};
  const std::string name = proc_path(call_.tid(), "fd");
  // The size is how many are open, since Linux 6.2: mostly fewer than there are numbers.
  struct stat st;
  if (stat(name.c_str(), &st) == 0 && st.st_size > 0 &&
      static_cast<rlim_t>(st.st_size) < limit.rlim_cur)
    return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(name.c_str()), closedir);
  if (list == nullptr) return {};
  rlim_t used = 0;  // of the numbers below the limit
  while (const dirent* entry = readdir(list.get()))
    if (entry->d_name[0] != '.' && strtoul(entry->d_name, nullptr, 10) < limit.rlim_cur) used++;
  if (!call_.valid()) return Error(ESRCH);
  return used < limit.rlim_cur ? Result<void>() : Result<void>(Error(EMFILE));
}

Result<void> RemoteCaller::may_grow_to(uint64_t size) {
  struct rlimit limit;
  if (prlimit(call_.tid(), RLIMIT_FSIZE, nullptr, &limit) != 0 || size <= limit.rlim_cur) return {};
  const TaskStatus* of = TRY(status());
  syscall(SYS_tgkill, of->tgid, call_.tid(), SIGXFSZ);
  return Error(EFBIG);
}

long RemoteCaller::assist(const TaskCall& call) {
  context_.crew.hand_over();
  const AssistOutcome outcome = context_.assist.run(call_.id(), call_.tid(), call);
  if (outcome.how != Assisted::kRefused) {
    call_.set_answered();
    return outcome.result;
  }
  Result<const TaskStatus*> of = status();
  const std::string line = fmt::format(
      "ovlrun: {} ({}) is being traced, or can't be: without that its call can't be carried out\n",
      of.ok() ? of.value()->name : "a task", call_.tid());
  complain(view(line));
  return -EPERM;
}

bool RemoteCaller::may_block(CStr real, int flags) const {
  if ((flags & O_PATH) != 0) return false;
  StatX st;
  const int follow = (flags & (O_NOFOLLOW)) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
  if (!sys_statx(real, follow | AT_NO_AUTOMOUNT, &st).ok()) return false;
  if (S_ISFIFO(st.stx_mode)) return (flags & O_NONBLOCK) == 0;
  // A terminal may become the task's own, and some devices look at who opens them.
  return S_ISCHR(st.stx_mode) || S_ISBLK(st.stx_mode);
}

std::string RemoteCaller::name_for_task(const At& at) {
  if (at.dirfd() == AT_FDCWD) return at.name();
  return fmt::format("/proc/{}/fd/{}/{}", getpid(), at.dirfd(), at.name());
}

Outcome RemoteCaller::open_itself(const At& at, int flags, mode_t mode) {
  TaskCall call(abi(), numbers(abi()).openat,
                {static_cast<unsigned long>(AT_FDCWD), 0, static_cast<unsigned long>(flags), mode});
  call.point_argument(1, call.put_string(name_for_task(at).c_str()));
  return assist(call);
}

Outcome RemoteCaller::open_for_caller(CStr real, int flags, mode_t mode, Opens what,
                                      bool kernel_finds) {
  const bool only_reads = (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) == O_RDONLY;
  if ((only_reads || what == Opens::kAnything) && kernel_finds && !context_.strict)
    return Outcome::native();
  At at(real);
  if (at.error()) return Error(at.error());
  // The kernel gives no O_PATH descriptors away.
  if ((flags & O_PATH) != 0 || (what == Opens::kAnything && may_block(real, flags)))
    return open_itself(at, flags, mode);
  const int fd = openat(at.dirfd(), at.name(), flags | O_CLOEXEC | O_NOCTTY, mode);
  if (fd < 0) return Error(errno);
  return give_fd(UniqueFd(fd), flags & O_CLOEXEC);
}

pid_t RemoteCaller::process() {
  Result<pid_t> group = thread_group();
  return group.ok() ? group.value() : call_.tid();
}

Result<DescriptorList> RemoteCaller::descriptors(Arena& arena) {
  const std::string name = proc_path(call_.tid(), "fd");
  const OwnIdentity
      own_identity;  // one that became another user has root's directory until an exec
  const UniqueFd dir = TRY(sys_openat(view(name), O_RDONLY | O_DIRECTORY));
  return list_descriptors(arena, dir.get(), kNoDescriptor);
}

bool RemoteCaller::share_open_file(int a, int b) {
  return syscall(SYS_kcmp, call_.tid(), call_.tid(), KCMP_FILE, a, b) == 0;
}

Result<void> RemoteCaller::replace_fd(int number, int with) {
  return call_.replace(number, with, closes_on_exec(number));
}

Result<UniqueFd> RemoteCaller::open_of_task(CStr name) {
  const TaskStatus* is = who();
  if (is == nullptr) return Error(ESRCH);
  // Every task may look at itself.
  const std::string own = proc_path(TRY(status())->tgid, "");
  if (is == &context_.own || name.starts_with(view(own))) return sys_openat(name, O_RDONLY);
  const LessCapable as_task(is->effective);
  return sys_openat(name, O_RDONLY);
}

Outcome RemoteCaller::change_directory(CStr real, bool kernel_finds) {
  if (kernel_finds && !context_.strict) return Outcome::native();
  At at(real);
  if (at.error()) return Error(at.error());
  TaskCall call(abi(), numbers(abi()).chdir);
  call.point_argument(0, call.put_string(name_for_task(at).c_str()));
  return assist(call);
}

bool RemoteCaller::may_preload() {
  Result<const TaskStatus*> of = status();
  return of.ok() && of.value()->filters <= context_.own.filters + 1;
}

Outcome RemoteCaller::execute(const ExecRequest& request) {
  TaskCall call(abi(), numbers(abi()).execve);
  // As the kernel names a file that was given by descriptor. (execveat has no room for the pass.)
  std::string file = request.file.c_str();
  if (request.dirfd != AT_FDCWD && (file.empty() || file[0] != '/'))
    file = fmt::format("/dev/fd/{}{}{}", request.dirfd, file.empty() ? "" : "/", file);
  call.point_argument(0, call.put_string(file.c_str()));
  if (!request.called.empty())
    call.name_program(file, std::string(request.called.data(), request.called.size()));
  int argument = 1;
  for (char* const* vector : {request.argv, request.envp}) {
    size_t count = 0;
    while (vector[count] != nullptr) count++;
    const size_t words = call.put_words(count + 1);
    for (size_t i = 0; i < count; i++)
      call.point(words + i * call.word(), call.put_string(vector[i]));
    call.point_argument(argument++, words);
  }
  return assist(call);
}

// --- calls on real paths ---

long RemoteCaller::raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) {
  char block[2 * (PATH_MAX + 64)];
  Arena arena(block, sizeof block, nullptr, nullptr);
  const auto reach_words = [&](long dirfd, long words) {
    const auto* text = reinterpret_cast<const char*>(words);
    return reach(arena, static_cast<int>(dirfd), CStr(text, strlen(text)));
  };
  switch (number) {
    case SYS_connect:
      return connect(static_cast<int>(a0), reinterpret_cast<const void*>(a1),
                     static_cast<size_t>(a2));
    case SYS_sendmsg:
      return send_message(static_cast<int>(a0), reinterpret_cast<const void*>(a1),
                          static_cast<int>(a2));
    case SYS_sendmmsg:
      return send_messages(static_cast<int>(a0), reinterpret_cast<const void*>(a1),
                           static_cast<size_t>(a2), static_cast<int>(a3),
                           static_cast<unsigned long>(a4));
    case SYS_sendto:
      return send_to(static_cast<int>(a0), static_cast<unsigned long>(a1), static_cast<size_t>(a2),
                     static_cast<int>(a3), reinterpret_cast<void*>(a4), static_cast<unsigned>(a5));
    case SYS_bind:
    case SYS_getsockname:
    case SYS_getpeername:
    case SYS_inotify_add_watch: {
      Result<BorrowedFd> fd = borrow(static_cast<int>(a0));
      if (!fd.ok()) return -fd.error();
      return raw_call(number, fd.value().get(), a1, a2, a3, a4, a5);
    }
    case SYS_linkat:
    case SYS_renameat2: {
      const At from = reach_words(a0, a1), to = reach_words(a2, a3);
      return raw_call(number, from.dirfd(), from.name(), to.dirfd(), to.name(), a4);
    }
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_mknodat: {
      const At at = reach_words(a0, a1);
      return raw_call(number, at.dirfd(), at.name(), a2, a3);
    }
    case SYS_symlinkat: {
      const At at = reach_words(a1, a2);
      return raw_call(number, a0, at.dirfd(), at.name());
    }
    default:
      return -ENOSYS;
  }
}

Origin RemoteCaller::origin(Arena& arena) {
  std::string stack;
  if (abi() == CallAbi::kNative) stack = trapped_from(call_.tid());
  if (!call_.valid()) stack.clear();  // of somebody who has the number now
  return {call_.tid(), arena.dup(Str(stack.data(), stack.size())), true};
}

}  // namespace ovl
