// One operation while it is performed: its arguments, as operations.def asks for them, and what it
// answered.
#pragma once

#include <stdio.h>
#include <sys/stat.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tests/model/observe.h"
#include "tests/syscalls/calls.h"

namespace model {

constexpr int kSlots = 8;
constexpr int kProcesses = 4;

// What one process of the sequence has.
struct Process {
  int number = 0;
  std::array<int, kSlots> slots;
  std::array<bool, kSlots> position;  // the offset is the program's own, and can be compared
  Process() { slots.fill(-1); }
};

class Call {
 public:
  Call(Process* process, const std::vector<std::string>& arguments, Observation* seen)
      : process_(process), words_(arguments), seen_(seen) {}

  // Arguments by their place.
  int dir(size_t i) const;
  int fd(size_t i) const;
  const char* path(size_t i);
  const char* name(size_t i) { return path(i); }
  const char* proc_fd(size_t i);
  const void* value(size_t i) { return path(i); }
  size_t value_size(size_t i) { return text(i).size(); }
  long num(size_t i) const;
  int flags(size_t i) const { return static_cast<int>(num(i)); }
  int open_flags(size_t i) const;
  mode_t mode(size_t i) const { return static_cast<mode_t>(num(i)); }
  unsigned id(size_t i) const { return static_cast<unsigned>(num(i)); }
  size_t size(size_t i) const;
  const timespec* times(size_t i);
  const char* content(size_t i);

  // Room for answers.
  char* buffer() { return buffer_; }
  size_t buffer_size() const { return sizeof buffer_; }
  struct stat* st() {
    return &st_;
  }
  struct statfs* stfs() {
    return &stfs_;
  }

  struct statx* stx() {
    return &stx_;
  }

  // What becomes of an answer; each returns the call's result.
  long opened(size_t slot, int fd);
  long closed(size_t slot);
  long read_some(size_t slot, long got);
  // Positions in directories are each side's own.
  long sought(int fd, long position);
  long read_text(long got);
  long read_names(long got);
  long read_path(const char* path);
  long shown(int result);
  long shown_fs(int result);
  long shown_extended(int result);
  long read_mapped(int fd, long at, size_t size);
  long sent(int out, int in, size_t size);
  long bound(const char* path);
  // Of what can't be executed; what can be is not.
  long executed(const char* path);
  long set_utimes(const char* path, const timespec* times);
  long listed(int fd);
  long listed_again(int fd);
  // In small pieces, then from a position in the middle once more.
  long listed_in_parts(int fd);
  // Directories in one another, until no path leads to the last one: made, walked and removed.
  long deepened(int fd);
  long fork_process(size_t number);

 private:
  std::string& text(size_t i);

  Process* process_;
  const std::vector<std::string>& words_;
  Observation* seen_;
  std::array<std::string, 6> texts_;
  std::array<bool, 6> decoded_{};
  timespec times_[2];
  struct stat st_;
  struct statfs stfs_;
  struct statx stx_;
  char buffer_[1 << 17];
};

// Performs the operation `words` (its name, then the arguments) and notes all that can be seen of
// it.
void perform(Process* process, const std::vector<std::string>& words, Observation* seen);
// The call alone: others are at work, and what a look would find is theirs too.
void perform_blindly(Process* process, const std::vector<std::string>& words, Observation* seen);

// Defined with the processes: what the new process `number` does, for ever.
[[noreturn]] void serve(Process* process);

}  // namespace model
