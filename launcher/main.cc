// ovlrun: see README.md.
#include <exception>

#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/options.h"

int main(int argc, char** argv) {
  try {
    const ovl::CommandLine line = ovl::parse_command_line(argc, argv);
    switch (line.kind) {
      case ovl::CommandKind::kRun:
        return ovl::run_main(line.run);
      case ovl::CommandKind::kDiff:
        return ovl::diff_main(line.diff);
      case ovl::CommandKind::kCoverage:
        return ovl::coverage_main();
      case ovl::CommandKind::kText:
        return 0;
    }
  } catch (const ovl::Failure& failure) {
    ovl::complain(failure.what());
    return failure.status();
  } catch (const std::exception& error) {
    ovl::complain(error.what());
  }
  return ovl::kExitFailure;
}
