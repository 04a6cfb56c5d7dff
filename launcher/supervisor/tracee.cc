// See tracee.h, ptrace(2), and kernel/ptrace.c.
#include "launcher/supervisor/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/unique_fd.h"
#include "launcher/supervisor/task.h"

namespace ovl {

int Tracee::seize() {
  // TRACEEXEC: an exec tells of itself under the id that the task then has.
  if (ptrace(PTRACE_SEIZE, tid_, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC) != 0) return errno;
  state_ = State::kRunning;
  return 0;
}

bool Tracee::interrupt() { return ptrace(PTRACE_INTERRUPT, tid_, 0, 0) == 0; }

Stop Tracee::wait() {
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL | __WNOTHREAD);
    if (pid < 0) {
      if (errno == EINTR) continue;
      state_ =
          State::kFree;  // ECHILD: the leader of a process, in which another thread called exec
      return Stop::kGone;
    }
    if (!WIFSTOPPED(status)) {
      if (pid != tid_) continue;
      state_ = State::kFree;
      return Stop::kGone;
    }
    const int event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) tid_ = pid;
    if (pid != tid_) continue;
    state_ = State::kStopped;
    signal_ = WSTOPSIG(status);
    if (event == PTRACE_EVENT_EXEC) {
      last_ = Stop::kExec;
    } else if (event == PTRACE_EVENT_STOP) {
      last_ = signal_ == SIGTRAP ? Stop::kTrap : Stop::kGroup;
    } else {
      last_ = signal_ == (SIGTRAP | 0x80) ? Stop::kCall : Stop::kSignal;
    }
    return last_;
  }
}

bool Tracee::resume(int signal) {
  if (ptrace(PTRACE_SYSCALL, tid_, 0, signal) != 0) return false;
  state_ = State::kRunning;
  return true;
}

bool Tracee::detach(int signal) {
  if (ptrace(PTRACE_DETACH, tid_, 0, signal) != 0) return false;
  state_ = State::kFree;
  return true;
}

bool Tracee::halt() {
  if (state_ == State::kRunning) {
    interrupt();
    wait();
  }
  return state_ == State::kStopped;
}

void Tracee::release() {
  while (halt()) {
    if (detach(last_ == Stop::kSignal ? signal_ : 0)) return;
    state_ = State::kRunning;  // killed in its stop: its end comes
  }
}

bool Tracee::registers(Registers& out) { return ptrace(PTRACE_GETREGS, tid_, 0, &out.raw()) == 0; }

bool Tracee::set_registers(Registers& registers) {
  return ptrace(PTRACE_SETREGS, tid_, 0, &registers.raw()) == 0;
}

bool Tracee::result(long& out) {
  Registers now;
  if (!registers(now)) return false;
  out = now.result();
  return true;
}

bool Tracee::signal_mask(uint64_t& out) {
  return ptrace(PTRACE_GETSIGMASK, tid_, sizeof(out), &out) == 0;
}

bool Tracee::set_signal_mask(uint64_t mask) {
  return ptrace(PTRACE_SETSIGMASK, tid_, sizeof(mask), &mask) == 0;
}

size_t Tracee::read(unsigned long address, void* to, size_t size) {
  const iovec local = {to, size};
  const iovec remote = {reinterpret_cast<void*>(address), size};
  const ssize_t n = process_vm_readv(tid_, &local, 1, &remote, 1, 0);
  return n < 0 ? 0 : static_cast<size_t>(n);
}

size_t Tracee::write(unsigned long address, const void* from, size_t size) {
  const iovec local = {const_cast<void*>(from), size};
  const iovec remote = {reinterpret_cast<void*>(address), size};
  const ssize_t n = process_vm_writev(tid_, &local, 1, &remote, 1, 0);
  return n < 0 ? 0 : static_cast<size_t>(n);
}

namespace {

template <class Word>
unsigned long find_value(const char* vector, size_t size, unsigned long type) {
  Word entry[2];
  for (; size >= sizeof entry; vector += sizeof entry, size -= sizeof entry) {
    memcpy(entry, vector, sizeof entry);
    if (entry[0] == type) return entry[1];
  }
  return 0;
}

}  // namespace

unsigned long Tracee::auxiliary(unsigned long type) {
  const UniqueFd fd(open(proc_path(tid_, "auxv").c_str(), O_RDONLY | O_CLOEXEC));
  char vector[1024];
  const ssize_t n = fd.valid() ? ::read(fd.get(), vector, sizeof vector) : -1;
  if (n < 8) return 0;
  // Types are small, and no first value is 0: what stands there tells how wide a word is.
  uint32_t second;
  memcpy(&second, vector + 4, sizeof second);
  const auto size = static_cast<size_t>(n);
  return second == 0 ? find_value<uint64_t>(vector, size, type)
                     : find_value<uint32_t>(vector, size, type);
}

}  // namespace ovl
