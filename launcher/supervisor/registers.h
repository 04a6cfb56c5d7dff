// The registers of a stopped task, as far as system calls go: what differs by architecture. x86-64;
// both its own calls and those made the 32-bit way (int 0x80, sysenter), whichever mode the task is
// in.
//
// Both ways in are two bytes long (`syscall`, `int $0x80`), and a task that came through sysenter
// returns to just behind an int $0x80 in the vdso: two bytes back always stands what makes the call
// again. The kernel restarts calls in the same way (arch_do_signal_or_restart).
#pragma once

#if !defined(__x86_64__)
#error "ptrace assist: registers of this architecture are missing"
#endif

#include <sys/user.h>

#include "core/sys/gate.h"

namespace ovl {

// Which system call table a call went through.
enum class CallAbi { kNative, kI386 };

constexpr int kCallArguments = 6;

class Registers {
 public:
  user_regs_struct& raw() { return regs_; }

  // The task is leaving a system call that is to be restarted, as one that a seccomp notification
  // gave up (ERESTARTSYS when a signal or a stop woke it, ERESTARTNOINTR when that was the answer).
  bool restarts() const {
    return in_call() && (result() == -kERestartSys || result() == -kERestartNoIntr);
  }
  // Its result is one that the kernel acts upon once more (ERESTARTSYS to ERESTART_RESTARTBLOCK).
  bool wants_restart() const {
    return in_call() && result() <= -kERestartSys && result() >= -kERestartBlock;
  }
  bool in_call() const { return static_cast<long>(regs_.orig_rax) >= 0; }
  long result() const { return static_cast<long>(regs_.rax); }
  // What the call that the task is leaving gives. kERestart* are still acted upon by the kernel.
  void set_result(long result) { regs_.rax = static_cast<unsigned long>(result); }
  void set_restart() { set_result(-kERestartNoIntr); }

  // Makes the task, which is leaving a call, enter another instead of going on. orig_rax of -1
  // keeps the kernel from taking the new rax for a result that asks for a restart.
  void set_call(CallAbi abi, long number, const unsigned long (&arguments)[kCallArguments]) {
    regs_.rip -= kCallInstructionSize;
    regs_.rax = static_cast<unsigned long>(number);
    regs_.orig_rax = ~0ul;
    using Field = decltype(&user_regs_struct::rdi);
    static constexpr Field kNative[] = {&user_regs_struct::rdi, &user_regs_struct::rsi,
                                        &user_regs_struct::rdx, &user_regs_struct::r10,
                                        &user_regs_struct::r8,  &user_regs_struct::r9};
    static constexpr Field kI386[] = {&user_regs_struct::rbx, &user_regs_struct::rcx,
                                      &user_regs_struct::rdx, &user_regs_struct::rsi,
                                      &user_regs_struct::rdi, &user_regs_struct::rbp};
    for (int i = 0; i < kCallArguments; i++) {
      if (abi == CallAbi::kI386) {
        regs_.*kI386[i] = static_cast<unsigned>(arguments[i]);
      } else {
        regs_.*kNative[i] = arguments[i];
      }
    }
  }

  // include/linux/errno.h, "Should never be seen by user programs".
  static constexpr long kERestartSys = 512;
  static constexpr long kERestartNoIntr = 513;
  static constexpr long kERestartBlock = 516;

 private:
  static constexpr unsigned kCallInstructionSize = 2;
  user_regs_struct regs_{};
};

// What depends on the table that a call goes through.
struct CallTable {
  unsigned word;  // bytes of a pointer
  long mmap;      // with the arguments of mmap2: nothing here is mapped from a file
  long munmap;
  unsigned long slots;        // where slots for the arguments of assisted calls begin,
  unsigned long slot_stride;  // and how far apart they are
};
// i386: between a program at its fixed place (and its heap) and what mmap gives, from the top down.
constexpr CallTable kNativeTable = {8, 9, 11, kGateAddress + 0x10000, 8ul << 20};
constexpr CallTable kI386Table = {4, 192, 91, 0x70000000, 128ul << 10};
inline const CallTable& call_table(CallAbi abi) {
  return abi == CallAbi::kI386 ? kI386Table : kNativeTable;
}

}  // namespace ovl
