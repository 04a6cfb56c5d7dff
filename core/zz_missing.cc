// While operations are being added: weak ENOSYS definitions of what does not exist yet, so that
// every front end links. Only those: a weak definition that the linker meets first would stand for
// the real one. Removed with the last of them.
#include "core/ops/ops.h"
#include "core/session/moved.h"

namespace ovl {

#define OVL_MISSING(name, ...) \
  __attribute__((weak)) Outcome op_##name(Op&, __VA_ARGS__) { return Error(ENOSYS); }
OVL_MISSING(openat, int, UserPath, int, mode_t)
OVL_MISSING(openat2, int, UserPath, UserBuf, size_t)
OVL_MISSING(mkdirat, int, UserPath, mode_t)
OVL_MISSING(mknodat, int, UserPath, mode_t, unsigned)
OVL_MISSING(symlinkat, UserPath, int, UserPath)
OVL_MISSING(linkat, int, UserPath, int, UserPath, int)
OVL_MISSING(unlinkat, int, UserPath, int)
OVL_MISSING(renameat2, int, UserPath, int, UserPath, unsigned)
#undef OVL_MISSING

__attribute__((weak)) CStr moved_candidate(Session&, const Overlay&, Arena&, Str, uint32_t*) {
  return CStr();
}
__attribute__((weak)) Result<void> moved_add(Session&, const Overlay&, Str, Str) {
  return Error(ENOSYS);
}

}  // namespace ovl
