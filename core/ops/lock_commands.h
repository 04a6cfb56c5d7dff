// The commands of fcntl(2) that are about locks; the filter traps these alone.
#pragma once

namespace ovl {

// The kernel's numbers: libc gives those for 64-bit positions the names of the others.
constexpr unsigned kLockCommands[] = {
    5,  6,  7,   // F_GETLK, F_SETLK, F_SETLKW
    12, 13, 14,  // F_GETLK64 and its like, of 32-bit programs
    36, 37, 38,  // F_OFD_GETLK and its like
};

constexpr bool is_lock_command(unsigned command) {
  for (const unsigned one : kLockCommands)
    if (one == command) return true;
  return false;
}

// Which lock is in the way?
constexpr bool tells_of_locks(unsigned command) {
  return command == 5 || command == 12 || command == 36;
}

// Are the locks those of the open file, as flock(2)'s are?
constexpr bool is_of_open_file(unsigned command) { return command >= 36 && command <= 38; }

}  // namespace ovl
