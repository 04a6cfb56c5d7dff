// What a command that takes long tells meanwhile: on a terminal one line that is written over and
// over; with -v a line for each object.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <time.h>

#include <string>

namespace ovl {

class Progress {
 public:
  // `interrupted`: set by a signal; then the next step throws Failure.
  Progress(const std::string& command, bool verbose,
           const volatile sig_atomic_t* interrupted = nullptr);
  ~Progress();  // leaves no half line behind
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `what` has been done to the object at `path`: "copied", "unfolded".
  void did(const char* what, const std::string& path, uint64_t bytes = 0);
  // Something long without objects: "waiting for the disk".
  void begins(const char* what);

 private:
  void show(const std::string& text);
  void clear();

  const std::string command_;
  const bool verbose_, terminal_;
  const volatile sig_atomic_t* const interrupted_;
  uint64_t objects_ = 0, bytes_ = 0;
  bool shown_ = false;
  struct timespec last_ = {};
};

}  // namespace ovl
