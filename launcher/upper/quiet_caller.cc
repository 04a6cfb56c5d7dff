// See quiet_caller.h. Compiled without type information, as the class above it.
#include "launcher/upper/quiet_caller.h"

namespace ovl {

void QuietCaller::complain(Str) {}

}  // namespace ovl
