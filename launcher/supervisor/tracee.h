// One task seized with ptrace by the calling thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "launcher/supervisor/registers.h"

namespace ovl {

// How a task stopped.
enum class Stop {
  kGone,    // it is dead and waited for, or an exec of another thread took it away
  kSignal,  // about to take signal()
  kGroup,   // its process stops, for signal()
  kTrap,    // where it was interrupted, or told of a SIGCONT: nothing that concerns the program
  kCall,    // at the entry or the exit of a system call
  kExec,    // it has executed a program
};

// All methods are for the thread that seized, which may have neither children nor other tracees:
// the wait has to be for any of its children, since a task that executes a program takes its
// process's id, and since nothing wakes a wait for the id of a task that vanished in another
// thread's exec.
//
// Methods that tell success fail only when the task has been killed; release() then waits for its
// end.
class Tracee {
 public:
  explicit Tracee(pid_t tid) : tid_(tid) {}
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;
  // Lets go of it in whatever state it is: release().
  ~Tracee() { release(); }

  // 0, or the errno of PTRACE_SEIZE: EPERM when it is traced already or can't be, ESRCH.
  int seize();
  bool interrupt();
  Stop wait();
  // That of the last stop: kSignal's must be handed on, or it is lost.
  int signal() const { return signal_; }
  // On to the next entry or exit of a system call, with that signal.
  bool resume(int signal = 0);
  // Runs on, untraced, with that signal; a stop of its process goes on.
  bool detach(int signal = 0);
  bool runs() const { return state_ == State::kRunning; }
  // Brings it to a stop if it is in none. False: it has gone.
  bool halt();
  // Halts it, and detaches it as it stands; waits for the end of a killed task, so that its parent
  // can see it.
  void release();

  bool registers(Registers& out);
  bool set_registers(Registers& registers);
  bool result(long& out);
  // Of what signals are blocked: the kernel's sigset of 64 bits.
  bool signal_mask(uint64_t& out);
  bool set_signal_mask(uint64_t mask);
  // Bytes read or written; less than `size` where memory ends.
  size_t read(unsigned long address, void* to, size_t size);
  size_t write(unsigned long address, const void* from, size_t size);
  // A value that the kernel gave its program (getauxval(3)); 0: not known.
  unsigned long auxiliary(unsigned long type);

 private:
  enum class State { kFree, kRunning, kStopped };

  pid_t tid_;
  State state_ = State::kFree;
  Stop last_ = Stop::kTrap;
  int signal_ = 0;
};

}  // namespace ovl
