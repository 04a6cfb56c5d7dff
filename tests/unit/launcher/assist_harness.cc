#include "tests/unit/launcher/assist_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace ovl::testing {
namespace {

constexpr int kThreads = 6;
constexpr char kVirtual[] = "/virtual";

enum class Kind { kPath, kExec, kExecAt, kOpenAt, kConnect, kSendTo };
struct Handled {
  long native;
  long i386;
  Kind kind;
};
constexpr Handled kHandled[] = {
    {SYS_chdir, 12, Kind::kPath},     {SYS_open, 5, Kind::kPath},
    {SYS_execve, 11, Kind::kExec},    {SYS_execveat, 358, Kind::kExecAt},
    {SYS_openat, 295, Kind::kOpenAt}, {SYS_connect, 362, Kind::kConnect},
    {SYS_sendto, 369, Kind::kSendTo},
};

std::string read_memory(pid_t tid, uint64_t address, size_t size) {
  std::string bytes(size, '\0');
  const iovec local = {bytes.data(), size};
  const iovec remote = {reinterpret_cast<void*>(address), size};
  const ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
  bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return bytes;
}

std::string read_string(pid_t tid, uint64_t address) {
  std::string text;
  for (;;) {
    const size_t page = 4096 - address % 4096;
    const std::string part = read_memory(tid, address, page);
    const size_t end = part.find('\0');
    text.append(part, 0, end);
    if (end != std::string::npos || part.size() < page) return text;
    address += page;
  }
}

bool is_virtual(const std::string& path) { return path.starts_with(kVirtual); }
std::string real(const std::string& path) { return path.substr(strlen(kVirtual)); }

// An array of strings of the task, with `more` at its end.
size_t put_strings(TaskCall& call, pid_t tid, uint64_t address, const char* more) {
  std::vector<std::string> strings;
  for (; address != 0; address += call.word()) {
    const std::string word = read_memory(tid, address, call.word());
    uint64_t pointer = 0;
    memcpy(&pointer, word.data(), word.size());
    if (pointer == 0) break;
    strings.push_back(read_string(tid, pointer));
  }
  if (more != nullptr) strings.emplace_back(more);
  const size_t words = call.put_words(strings.size() + 1);
  for (size_t i = 0; i < strings.size(); i++)
    call.point(words + i * call.word(), call.put_string(strings[i].c_str()));
  return words;
}

}  // namespace

int install_test_filter(Notified notified, const uint32_t pass[2]) {
  std::vector<sock_filter> f;
  const auto load = [&](size_t at) {
    f.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(at)));
  };
  constexpr size_t kHandledCount = std::size(kHandled);
  load(offsetof(seccomp_data, args[4]));
  f.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, pass[0], 0, 3));
  load(offsetof(seccomp_data, args[5]));
  f.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, pass[1], 0, 1));
  f.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  for (const uint32_t arch : {uint32_t{AUDIT_ARCH_X86_64}, uint32_t{AUDIT_ARCH_I386}}) {
    load(offsetof(seccomp_data, arch));
    f.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 0, 2 * kHandledCount + 1));
    load(offsetof(seccomp_data, nr));
    for (const Handled& h : kHandled) {
      const long number = arch == AUDIT_ARCH_I386 ? h.i386 : h.native;
      f.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1));
      f.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    }
  }
  f.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program = {static_cast<unsigned short>(f.size()), f.data()};
  unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
  if (notified == Notified::kKillable) flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

int no_listener() {
  const pid_t child = fork();
  if (child == 0) {
    constexpr uint32_t kPass[2] = {1, 1};
    _exit(install_test_filter(Notified::kInterruptible, kPass) >= 0 ? 0 : errno);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

// The keeper: the natural parent of the command, as in ovlrun itself, since a wait for a tracee
// that is also a child would take away the tracer's stops.
void Supervised::keep(const std::function<int()>& body, int to_parent, int go) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const pid_t task = fork();
  if (task == 0) {
    const int listener = install_test_filter(notified_, pass_);
    const int message[2] = {static_cast<int>(getpid()), listener};
    char byte;
    if (write(to_parent, message, sizeof(message)) < 0 || read(go, &byte, 1) != 1) _exit(99);
    close(listener);
    close(to_parent);
    close(go);
    _exit(body());
  }
  int status = 0;
  for (;;) {
    int one = 0;
    const pid_t pid = waitpid(-1, &one, __WALL);
    if (pid == task) status = one;
    if (pid < 0 && errno == ECHILD) break;
  }
  if (write(to_parent, &status, sizeof(status)) < 0) _exit(99);
  _exit(0);
}

int Supervised::run(const std::function<int()>& body) {
  int from_keeper[2];
  int go[2];
  if (pipe2(from_keeper, O_CLOEXEC) != 0 || pipe2(go, O_CLOEXEC) != 0) return -1;
  const pid_t keeper = fork();
  if (keeper == 0) {
    close(from_keeper[0]);
    close(go[1]);
    keep(body, from_keeper[1], go[0]);
  }
  close(from_keeper[1]);
  close(go[0]);
  int message[2] = {};
  int status = -1;
  if (read(from_keeper[0], message, sizeof(message)) == sizeof(message) && message[1] >= 0) {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, message[0], 0));
    listener_ = static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, message[1], 0));
    close(pidfd);
    Assist assist(listener_, pass_[0], pass_[1]);
    assist_ = &assist;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; i++) threads.emplace_back([this] { supervise(); });
    if (write(go[1], "", 1) < 0) abort();
    if (read(from_keeper[0], &status, sizeof(status)) != sizeof(status)) status = -1;
    for (std::thread& thread : threads) thread.join();
    close(listener_);
  }
  close(from_keeper[0]);
  close(go[1]);
  waitpid(keeper, nullptr, __WNOTHREAD);
  return status;
}

void Supervised::supervise() {
  for (;;) {
    seccomp_notif n = {};
    {
      const std::lock_guard lock(receiving_);
      pollfd waiting = {listener_, POLLIN, 0};
      if (poll(&waiting, 1, -1) < 0) continue;
      if ((waiting.revents & POLLIN) == 0) return;  // nobody is left below the filter
      if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &n) != 0) continue;
    }
    handle(n);
  }
}

void Supervised::answer(uint64_t id, int error, uint32_t flags) const {
  seccomp_notif_resp response = {};
  response.id = id;
  response.error = error;
  response.flags = flags;
  (void)ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void Supervised::handle(const seccomp_notif& n) {
  const auto tid = static_cast<pid_t>(n.pid);
  const CallAbi abi = n.data.arch == AUDIT_ARCH_I386 ? CallAbi::kI386 : CallAbi::kNative;
  const auto number_of = [&](const Handled& h) {
    return abi == CallAbi::kI386 ? h.i386 : h.native;
  };
  const Handled* h = kHandled;
  while (number_of(*h) != n.data.nr) h++;
  const auto arg = [&](int i) { return static_cast<unsigned long>(n.data.args[i]); };
  const auto native = [&] { answer(n.id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); };
  const bool at = h->kind == Kind::kExecAt || h->kind == Kind::kOpenAt;
  std::string path = read_string(tid, arg(at ? 1 : 0));
  sockaddr_un address = {};
  if (h->kind == Kind::kConnect || h->kind == Kind::kSendTo) {
    const int first = h->kind == Kind::kConnect ? 1 : 4;
    const std::string bytes =
        read_memory(tid, arg(first), std::min(arg(first + 1), sizeof(address)));
    memcpy(&address, bytes.data(), bytes.size());
    path = address.sun_path;
  }
  if (!is_virtual(path)) return native();
  path = real(path);
  strcpy(address.sun_path, path.c_str());
  TaskCall call(abi, number_of(*h), {arg(0), arg(1), arg(2), arg(3)});
  switch (h->kind) {
    case Kind::kPath:
      call.point_argument(0, call.put_string(path.c_str()));
      break;
    case Kind::kOpenAt:
      call.point_argument(1, call.put_string(path.c_str()));
      break;
    case Kind::kExec:
    case Kind::kExecAt: {
      TaskCall exec(abi, number_of(kHandled[2]));
      exec.point_argument(0, exec.put_string(path.c_str()));
      exec.point_argument(1, put_strings(exec, tid, arg(at ? 2 : 1), nullptr));
      exec.point_argument(2, put_strings(exec, tid, arg(at ? 3 : 2), "ASSISTED=1"));
      call = exec;
      break;
    }
    case Kind::kConnect:
      call.point_argument(1, call.put(&address, sizeof(address), 8));
      break;
    case Kind::kSendTo: {
      call = TaskCall(abi, SYS_sendmsg, {arg(0), 0, arg(3)});
      msghdr header = {};
      iovec vector = {reinterpret_cast<void*>(arg(1)), arg(2)};
      header.msg_namelen = sizeof(address);
      header.msg_iovlen = 1;
      const size_t name = call.put(&address, sizeof(address), 8);
      const size_t vectors = call.put(&vector, sizeof(vector), 8);
      const size_t message = call.put(&header, sizeof(header), 8);
      call.point(message + offsetof(msghdr, msg_name), name);
      call.point(message + offsetof(msghdr, msg_iov), vectors);
      call.point_argument(1, message);
      break;
    }
  }
  const AssistOutcome outcome = assist_->run(n.id, tid, call);
  if (outcome.how == Assisted::kRefused) answer(n.id, -EPERM, 0);
  const std::lock_guard lock(counting_);
  counts_[outcome.how]++;
}

}  // namespace ovl::testing
