// See gate_hook.h.
#include "tests/unit/linear/gate_hook.h"

#include <sys/syscall.h>

#include "core/sys/gate.h"

namespace linear {
namespace {

thread_local BeforeCall* before_call = nullptr;

long hooked(long number, long a0, long a1, long a2, long a3, long a4, long a5) {
  if (BeforeCall* before = before_call; before != nullptr) {
    before_call = nullptr;
    long path = 0;
    switch (number) {
      case SYS_openat:
      case SYS_openat2:
      case SYS_newfstatat:
      case SYS_statx:
      case SYS_mkdirat:
      case SYS_mknodat:
      case SYS_unlinkat:
      case SYS_renameat2:
      case SYS_linkat:
      case SYS_readlinkat:
        path = a1;
        break;
      default:
        break;
    }
    (*before)(number, reinterpret_cast<const char*>(path));  // NOLINT(performance-no-int-to-ptr)
    before_call = before;
  }
  return ovl::ovl_gate_call(number, a0, a1, a2, a3, a4, a5);
}

}  // namespace

GateHook::GateHook() {
  ovl::gate_shift =
      reinterpret_cast<uintptr_t>(&hooked) - reinterpret_cast<uintptr_t>(&ovl::ovl_gate_call);
}
GateHook::~GateHook() { ovl::gate_shift = 0; }
void GateHook::set(BeforeCall* before) { before_call = before; }

}  // namespace linear
