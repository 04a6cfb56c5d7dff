// Every system call that the core makes can be seen before it is made: the gate leads here.
#pragma once

#include <functional>

namespace linear {

// A thread's own. `number` and `path`: what is called, and the first path of it or nullptr.
using BeforeCall = std::function<void(long number, const char* path)>;

class GateHook {
 public:
  GateHook();  // for this process and its children
  ~GateHook();
  GateHook(const GateHook&) = delete;
  GateHook& operator=(const GateHook&) = delete;

  // nullptr: no more.
  static void set(BeforeCall* before);
};

}  // namespace linear
