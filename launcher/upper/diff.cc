#include "launcher/commands.h"
#include "launcher/failure.h"
namespace ovl {
int diff_main(const DiffOptions&) { fail("diff: not built in yet"); }
}
