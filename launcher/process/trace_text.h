// Makes text of the binary records that the operations left (core/trace).
#pragma once

#include <string>

namespace ovl {

// Reads records from the descriptor and writes one line each to the file, to stderr when its name
// is empty. What goes wrong is said on stderr: the command has ended, its status stands.
void write_trace_text(int records, const std::string& file);

}  // namespace ovl
