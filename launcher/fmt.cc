// What fmt has in its shared library, compiled here once: the launcher is linked with that library
// only if a version of fmt needs more of it, since loading it costs every start.
#ifndef FMT_HEADER_ONLY
#define FMT_HEADER_ONLY
#endif
#include <fmt/format.h>

namespace ovl {

[[gnu::used]] std::string (*const kFmtFormat)(fmt::string_view, fmt::format_args) = fmt::vformat;
[[gnu::used]] void (*const kFmtPrint)(fmt::string_view, fmt::format_args) = fmt::vprint;

}  // namespace ovl
