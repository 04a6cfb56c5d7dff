// See upper_errors.h.
#include "launcher/session/upper_errors.h"

#include <string.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "launcher/failure.h"
#include "launcher/session/plan.h"

namespace ovl {
namespace {

std::string error_file(const std::string& work) { return session_dir(work) + "/error"; }

int error_in_segment(const std::string& upper, const std::string& work) {
  const std::string file = session_dir(work) + "/session";
  const auto session = std::make_unique<Session>();  // too large for the stack
  if (access(file.c_str(), F_OK) != 0 || !session->attach(CStr(file.c_str(), file.size())).ok() ||
      session->level() != 0)
    return 0;
  for (uint32_t i = 0; i < session->overlay_count(); i++) {
    const Overlay& overlay = session->overlay(i);
    if (overlay.upper == Str(upper.data(), upper.size())) return session->errors(overlay).unseen();
  }
  return 0;
}

}  // namespace

std::string upper_error_text(const std::string& upper, int error) {
  const char* name = strerrorname_np(error);
  return fmt::format("upper {}: write-back error {}: discard this upper", quote(upper),
                     name != nullptr ? name : std::to_string(error));
}

int untold_error(const std::string& upper, const std::string& work, bool outermost) {
  std::ifstream in(error_file(work));
  int error = 0;
  if (in >> error && error > 0 && error <= UINT8_MAX) return error;
  return outermost ? error_in_segment(upper, work) : 0;
}

void keep_untold_error(const std::string& work, int error) {
  std::ofstream(error_file(work)) << error << "\n";
}

void forget_untold_error(const std::string& work) { unlink(error_file(work).c_str()); }

}  // namespace ovl
