// ovlrun export: an upper for the kernel's overlayfs as root mounts it.
#include "launcher/commands.h"
#include "launcher/failure.h"

namespace ovl {

int export_main(const ExportOptions&) { fail("export: not yet"); }

}  // namespace ovl
