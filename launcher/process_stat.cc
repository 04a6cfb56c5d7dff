// See process_stat.h.
#include "launcher/process_stat.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/unique_fd.h"

namespace ovl {

bool read_process_stat(pid_t tid, ProcessStat* out) {
  char text[1024];
  const UniqueFd fd(open(fmt::format("/proc/{}/stat", tid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  const ssize_t size = read(fd.get(), text, sizeof text - 1);
  if (size <= 0) return false;
  text[size] = 0;
  const char* rest = strrchr(text, ')');  // the name may hold anything
  char state;
  int parent;
  unsigned long long start;
  if (rest == nullptr ||
      sscanf(rest + 1,
             " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
             &state, &parent, &start) != 3)
    return false;
  *out = ProcessStat{state, parent, start};
  return true;
}

uint64_t start_time_of(pid_t pid) {
  ProcessStat stat;
  return read_process_stat(pid, &stat) ? stat.start : 0;
}

bool is_stopped(pid_t pid) {
  ProcessStat stat;
  return read_process_stat(pid, &stat) && stat.state == 'T';
}

}  // namespace ovl
