// ovlrun --coverage: the table of operations as a page.
#include <fmt/format.h>
#include <stdio.h>

#include <string>

#include "launcher/commands.h"

namespace ovl {
namespace {

enum class Kind { kFull, kPartly, kLegacy, kNative, kRefuse };
struct Line {
  const char* name;
  Kind kind;
  const char* note;
};

constexpr Kind kFull = Kind::kFull;
[[maybe_unused]] constexpr Kind kPartly = Kind::kPartly;

constexpr Line kLines[] = {
#define OVL_OP(name, status, ...) {#name, status, ""},
#define OVL_LEGACY(name, target, ...) {#name, Kind::kLegacy, #target},
#define OVL_NATIVE(name, why) {#name, Kind::kNative, why},
#define OVL_REFUSE(name, code, why) {#name, Kind::kRefuse, #code ": " why},
#include "core/ops/ops.def"
};

}  // namespace

int coverage_main() {
  fmt::print("{:<20} {:<9} {}\n", "SYSTEM CALL", "STATUS", "NOTE");
  for (const Line& line : kLines) {
    const char* status = "";
    std::string note = line.note;
    switch (line.kind) {
      case Kind::kFull:
        status = "full";
        break;
      case Kind::kPartly:
        status = "partly";
        break;
      case Kind::kLegacy:
        status = "full";
        note = "as " + note;
        break;
      case Kind::kNative:
        status = "native";
        break;
      case Kind::kRefuse:
        status = "refused";
        break;
    }
    std::string text = fmt::format("{:<20} {:<9} {}", line.name, status, note);
    while (text.back() == ' ') text.pop_back();
    fmt::print("{}\n", text);
  }
  return 0;
}

}  // namespace ovl
