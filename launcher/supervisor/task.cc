// See task.h.
#include "launcher/supervisor/task.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <string_view>

#include "core/base/unique_fd.h"

namespace ovl {
namespace {

constexpr size_t kStatusMost = 64 * 1024;  // 65536 groups would be more, and nobody has them

// The line "<key>:\t<value>", without the key.
std::string_view value_of(std::string_view status, std::string_view key) {
  size_t at = 0;
  while (at < status.size()) {
    size_t end = status.find('\n', at);
    if (end == std::string_view::npos) end = status.size();
    const std::string_view line = status.substr(at, end - at);
    if (line.size() > key.size() && line[key.size()] == ':' && line.substr(0, key.size()) == key) {
      size_t from = key.size() + 1;
      while (from < line.size() && (line[from] == '\t' || line[from] == ' ')) from++;
      return line.substr(from);
    }
    at = end + 1;
  }
  return {};
}

std::vector<unsigned> numbers(std::string_view text) {
  std::vector<unsigned> all;
  const std::string copy(text);
  const char* at = copy.c_str();
  for (char* end; *at != 0; at = end) {
    const unsigned long value = strtoul(at, &end, 10);
    if (end == at) break;
    all.push_back(static_cast<unsigned>(value));
  }
  return all;
}

unsigned long number(std::string_view text, int base) {
  return strtoul(std::string(text).c_str(), nullptr, base);
}

}  // namespace

std::string proc_path(pid_t tid, const char* rest) { return fmt::format("/proc/{}/{}", tid, rest); }

Result<unsigned> fd_flags(pid_t tid, int fd) {
  UniqueFd file(open(fmt::format("/proc/{}/fdinfo/{}", tid, fd).c_str(), O_RDONLY | O_CLOEXEC));
  char text[512];  // the first lines are enough
  const ssize_t n = file.valid() ? read(file.get(), text, sizeof text) : -1;
  if (n <= 0) return Error(EBADF);
  return static_cast<unsigned>(
      number(value_of(std::string_view(text, static_cast<size_t>(n)), "flags"), 8));
}

Result<TaskStatus> read_status(pid_t tid) {
  UniqueFd fd(open(proc_path(tid, "status").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Error(ESRCH);
  std::string text;
  char chunk[4096];
  for (ssize_t n = sizeof chunk; text.size() < kStatusMost && n == sizeof chunk;) {
    n = read(fd.get(), chunk, sizeof chunk);
    if (n > 0) text.append(chunk, static_cast<size_t>(n));
  }
  if (text.empty()) return Error(ESRCH);
  TaskStatus status;
  status.name = value_of(text, "Name");
  status.tgid = static_cast<pid_t>(number(value_of(text, "Tgid"), 10));
  const std::vector<unsigned> uids = numbers(value_of(text, "Uid"));
  const std::vector<unsigned> gids = numbers(value_of(text, "Gid"));
  if (uids.size() < 4 || gids.size() < 4) return Error(ESRCH);
  status.euid = uids[1];
  status.fsuid = uids[3];
  status.fsgid = gids[3];
  status.groups = numbers(value_of(text, "Groups"));
  status.effective = number(value_of(text, "CapEff"), 16);
  status.filters = static_cast<unsigned>(number(value_of(text, "Seccomp_filters"), 10));
  const std::string_view umask = value_of(text, "Umask");
  if (!umask.empty()) status.umask = static_cast<mode_t>(number(umask, 8));
  return status;
}

}  // namespace ovl
