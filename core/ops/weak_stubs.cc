// While operations are being added: weak ENOSYS definitions so that every front end links. Removed once each line of
// ops.def has its function.
#include "core/ops/ops.h"

namespace ovl {
#define OVL_OP(name, status, ...) \
  __attribute__((weak)) Outcome op_##name(Op&, __VA_ARGS__) { return Error(ENOSYS); }
#define OVL_LEGACY(name, target, ...)
#define OVL_NATIVE(name, why)
#define OVL_REFUSE(name, code, why)
#include "core/ops/ops.def"
}  // namespace ovl

#include "core/copy_up/copy_up.h"
#include "core/session/moved.h"
namespace ovl {
__attribute__((weak)) CStr moved_candidate(Session&, const Overlay&, Arena&, Str, uint32_t*) { return CStr(); }
__attribute__((weak)) Result<void> moved_add(Session&, const Overlay&, Str, Str) { return Error(ENOSYS); }
__attribute__((weak)) Result<const Node*> copy_up_dir(Op&, const Node&) { return Error(ENOSYS); }
__attribute__((weak)) Result<const Node*> copy_up(Op&, const Node&, Data) { return Error(ENOSYS); }
__attribute__((weak)) Temp::Temp(Op&, const Overlay&) {}
__attribute__((weak)) Temp::~Temp() {}
__attribute__((weak)) Result<void> Temp::publish(CStr, unsigned) { return Error(ENOSYS); }
}  // namespace ovl
