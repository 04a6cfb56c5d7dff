// ovlrun: see README.md.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <exception>

#include "launcher/commands.h"
#include "launcher/failure.h"
#include "launcher/options.h"

namespace {

// A closed stream's number would be taken by something of ours, and messages would go there. The
// command gets it closed again.
void fill_standard_streams() {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR | O_CLOEXEC);
}

int run(int argc, char** argv) {
  const ovl::CommandLine line = ovl::parse_command_line(argc, argv);
  switch (line.kind) {
    case ovl::CommandKind::kRun:
      return ovl::run_main(line.run);
    case ovl::CommandKind::kDiff:
      return ovl::diff_main(line.diff);
    case ovl::CommandKind::kSettle:
      return ovl::settle_main(line.settle);
    case ovl::CommandKind::kCheck:
      return ovl::check_main(line.check);
    case ovl::CommandKind::kExport:
      return ovl::export_main(line.export_to);
    case ovl::CommandKind::kCoverage:
      return ovl::coverage_main();
    case ovl::CommandKind::kText:
      return 0;
  }
  return ovl::kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_streams();
  try {
    const int status = run(argc, argv);
    if (fflush(stdout) != 0) ovl::fail("can't write the output: {}", ovl::error_text(errno));
    return status;
  } catch (const ovl::Failure& failure) {
    ovl::complain(failure.what());
    return failure.status();
  } catch (const std::exception& error) {
    ovl::complain(error.what());
  }
  return ovl::kExitFailure;
}
