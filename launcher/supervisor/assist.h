// The ptrace assist: a task that is blocked in a seccomp notification carries out a call itself,
// but with other arguments, or another call. For what nobody can do on its behalf: chdir, exec,
// opening a FIFO, connect.
//
// Problem: the arguments are registers and memory of the task, and it may be anything: a static
// program, a Go program on a goroutine's stack of a few hundred bytes, a vfork child, a 32-bit one.
// Afterwards nothing may be left that it could see: all registers but the result as before (a
// program relies on that), its stack untouched, signals and job control as ever.
//
// How: seize and interrupt the task, answer the notification with ERESTARTNOINTR; it stops on its
// way out of the call. Write the arguments into memory of ours in its address space (mapped there
// by a call of its own, which we inject), set the registers of the new call, let it run to that
// call's entry and its exit, put the registers back with the call's result, detach. The new call
// passes the filter without another notification because it carries the *pass* in its fifth and
// sixth arguments (filter.h). Up to the entry all signals are blocked, so that a task that is
// bombarded with them gets on; what stops it nevertheless (SIGSTOP, a fault) comes first:
// everything is put back so that the kernel restarts the original call, which then comes as another
// notification. The same holds when a signal interrupts the call: the kernel decides between EINTR
// and a restart by itself, and what it restarts is the original.
//
// Alternatives: writing below the stack's red zone hits a neighbour's memory in programs with
// stacks on the heap; letting go of the task at the entry of a call that blocks leaves the program
// with our values in its argument registers; stepping over the call instruction saves one stop, but
// its SIGTRAP is a signal that resets the program's own handler when blocked. So a task counts as
// traced (TracerPid, no gdb) for as long as the call takes.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "launcher/supervisor/registers.h"

namespace ovl {

// What a task is to call, and what is put into its memory for that.
class TaskCall {
 public:
  // The fifth and sixth argument are the pass's.
  static constexpr int kArguments = kCallArguments - 2;

  // `number`: of the table of `abi`. Arguments left out are 0.
  TaskCall(CallAbi abi, long number, std::initializer_list<unsigned long> arguments = {});

  // Adds bytes; returns the offset at which they will be. `align`: a power of two, 64 at most.
  size_t put(const void* bytes, size_t size, size_t align = 1);
  size_t put_string(const char* text);  // with its NUL
  // Adds `count` words of 0 for pointers, as wide as the caller's.
  size_t put_words(size_t count);
  // The word at offset `at` becomes the task's address of offset `to` (argv, iovecs, msg_name).
  void point(size_t at, size_t to);
  // That argument becomes the task's address of offset `to`.
  void point_argument(int argument, size_t to);
  // When the call has given a number, as many of these are copied to the task's own address `to`
  // before it goes on: one for each that was done (sendmmsg's lengths).
  void copy_back(size_t at, size_t size, unsigned long to);

  // The call is an exec of this file, and what the program is to find in AT_EXECFN: no longer than
  // the file's name.
  void name_program(std::string file, std::string called);

  CallAbi abi() const { return abi_; }
  long number() const { return number_; }
  size_t word() const { return call_table(abi_).word; }
  size_t size() const { return bytes_.size(); }
  // Its arguments and its bytes when these are at `address` (a multiple of 64).
  void place(unsigned long address, unsigned long (&arguments)[kCallArguments],
             std::string& bytes) const;
  struct Back {
    size_t at;
    size_t size;
    unsigned long to;
  };
  const std::vector<Back>& backs() const { return backs_; }
  const std::string& file() const { return file_; }
  const std::string& called() const { return called_; }

 private:
  struct Pointer {
    size_t at;
    size_t to;
  };
  static constexpr size_t kNowhere = static_cast<size_t>(-1);

  CallAbi abi_;
  long number_;
  unsigned long arguments_[kArguments] = {};
  size_t argument_to_[kArguments];  // an offset, or kNowhere
  std::string bytes_;
  std::vector<Pointer> pointers_;
  std::vector<Back> backs_;
  std::string file_, called_;
};

enum class Assisted {
  // The call was made. `result` is what it gave, where it returned (an exec that succeeded: 0); one
  // that a signal interrupted (-ERESTARTSYS and its kin) may come as another notification.
  kDone,
  // A signal came first, or another run: the task makes its call again, and that will be another
  // notification.
  kAgain,
  // It is dead, or no longer in that call.
  kGone,
  // Nothing happened: it is traced by somebody else (strace, gdb), or may not be traced. The
  // notification has *not* been answered: that is up to the caller. In all other cases it has.
  kRefused,
};

struct AssistOutcome {
  Assisted how = Assisted::kGone;
  long result = 0;  // of kDone: a value or -errno
};

class AssistRun;  // one run's state

// One for all threads of the supervisor.
class Assist {
 public:
  // `listener`: the notification descriptor, not owned. The pass: as in the filter; {0, 0}: there
  // is none, since a program can find it out (in /proc, while one of its threads is in such a
  // call). Then the call comes as another notification, see expects().
  Assist(int listener, uint32_t pass0, uint32_t pass1);

  // Makes the task `tid`, which is blocked in that notification, carry out `call`. Returns when the
  // call has returned (which can take as long as it likes) or the task has gone. The calling thread
  // must have no children or tracees (tracee.h), no other thread of the supervisor may wait for
  // children without __WNOTHREAD while one of them is a task, and the supervisor must be allowed to
  // trace the task. Errors: where the task has no memory for the arguments, its call gives ENOMEM.
  AssistOutcome run(uint64_t notification_id, pid_t tid, const TaskCall& call);

  // Is this notification's call one that a run makes the task carry out? Then it is to be passed.
  bool expects(pid_t tid);

 private:
  friend class AssistRun;
  bool has_pass() const { return pass_[0] != 0 || pass_[1] != 0; }

  // At which place in a task's memory a run has its arguments. One run has it at a time, whatever
  // the task: threads and vfork children share memory, and nothing tells us so cheaply.
  static constexpr int kSlots = 64;
  static constexpr int kNoSlot = -1;
  int take_slot();
  void give_slot(int slot);

  bool valid(uint64_t notification_id) const;

  // What is at the start of our mapping of a slot. Nothing else can look like it, so that memory
  // which the program itself has at a slot's place is never taken for ours.
  struct Marker {
    uint64_t secret[3];
    uint64_t size;  // of the mapping, marker included
  };

  const int listener_;
  const uint32_t pass_[2];
  Marker marker_{};
  std::mutex mutex_;
  uint64_t slots_ = 0;  // a bit for each that is taken
  // The runs under way, by task. Kernels whose notifications can be interrupted may bring a task's
  // call a second time before the first run has stopped it.
  std::multimap<pid_t, const AssistRun*> runs_;
  std::condition_variable changed_;  // of runs_
};

}  // namespace ovl
