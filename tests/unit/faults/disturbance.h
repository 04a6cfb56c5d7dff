// Disturbs the system calls of the core: all of them leave by one function (core/sys/gate.h), in
// front of which the linker puts ours.
#pragma once

namespace ovl::testing {

struct Disturbance {
  enum class How { kKill, kFail } how = How::kFail;
  int at = 0;     // which call: 1 is the first; 0: none is disturbed
  int error = 0;  // kFail: it is not made, and gives this errno
  // What became of it.
  int count = 0;
  bool reached = false;
  long number = -1;
};

// While it lives, this thread's calls are disturbed. Those that nothing depends on are not counted
// (sleeping, giving back), nor are, for a kill, those that change nothing: it would leave what a
// kill before the next change leaves.
class Disturbed {
 public:
  explicit Disturbed(Disturbance* what);
  ~Disturbed();
  Disturbed(const Disturbed&) = delete;
  Disturbed& operator=(const Disturbed&) = delete;
};

// Undoes a change, or cleans up: what can't be removed when it fails stays for the next start.
bool cleans_up(long number);

}  // namespace ovl::testing
