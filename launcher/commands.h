// The commands of ovlrun; one file each. They return the exit status, or throw Failure.
#pragma once

#include "launcher/options.h"

namespace ovl {

int run_main(const RunOptions& options);
int diff_main(const DiffOptions& options);
int settle_main(const SettleOptions& options);
int check_main(const CheckOptions& options);
int export_main(const ExportOptions& options);
int coverage_main();

}  // namespace ovl
