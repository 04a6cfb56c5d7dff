#include "launcher/process/trace_text.h"
namespace ovl {
void write_trace_text(int, const std::string&) {}
}
