// with_overlay LOWER UPPER -- CMD...: runs CMD below a plain in-place overlay through the preload
// object alone, without the launcher: for tests of the preload object itself. The workdir is
// UPPER.work. OVLRUN_PRELOAD names the object.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "core/session/builder.h"

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  const char* object = getenv("OVLRUN_PRELOAD");
  if (argc < 5 || strcmp(argv[3], "--") != 0 || object == nullptr) {
    fprintf(stderr, "usage: OVLRUN_PRELOAD=OBJECT with_overlay LOWER UPPER -- CMD...\n");
    return 125;
  }
  const std::string work = std::string(argv[2]) + ".work";
  fs::create_directories(argv[2]);
  fs::create_directories(work + "/work");
  fs::create_directories(work + "/ovlrun");
  const std::string lower = fs::canonical(argv[1]), upper = fs::canonical(argv[2]),
                    real_work = fs::canonical(work), preload = fs::canonical(object),
                    file = real_work + "/ovlrun/session";
  auto view = [](const std::string& s) { return ovl::CStr(s.c_str(), s.size()); };
  const ovl::LowerSpec lowers[] = {{view(lower), ovl::XattrFormat()}};
  ovl::OverlaySpec overlay;
  overlay.at = view(lower);
  overlay.upper = view(upper);
  overlay.work = view(real_work);
  overlay.lowers = lowers;
  overlay.lower_count = 1;
  ovl::SessionSpec spec;
  spec.overlays = &overlay;
  spec.overlay_count = 1;
  spec.preload_path = view(preload);
  if (int error = ovl::write_segment(view(file), spec).error()) {
    fprintf(stderr, "with_overlay: %s: %s\n", file.c_str(), strerror(error));
    return 125;
  }
  setenv("OVLRUN_SESSION", file.c_str(), 1);
  const char* others = getenv("LD_PRELOAD");
  setenv("LD_PRELOAD", (others ? std::string(others) + ":" + preload : preload).c_str(), 1);
  execvp(argv[4], argv + 4);
  perror(argv[4]);
  return 127;
}
