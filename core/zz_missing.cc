// While parts are being added: weak definitions of what does not exist yet, so that every front end
// links. Only those: a weak definition that the linker meets first would stand for the real one.
// Removed with the last of them.
#include "core/session/moved.h"

namespace ovl {

__attribute__((weak)) CStr moved_candidate(Session&, const Overlay&, Arena&, Str, uint32_t*) {
  return CStr();
}
__attribute__((weak)) Result<void> moved_add(Session&, const Overlay&, Str, Str) { return {}; }
__attribute__((weak)) Result<void> moved_rename(Session&, const Overlay&, Str, Str) { return {}; }
__attribute__((weak)) void moved_remove(Session&, const Overlay&, Str) {}

}  // namespace ovl
