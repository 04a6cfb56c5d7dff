// See segment_file.h.
#include "launcher/session/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/unique_fd.h"
#include "fmt/format.h"

namespace ovl {
namespace {

constexpr char kMemory[] = "/dev/shm/";
constexpr char kName[] = "ovlrun-session-";
// A container's may be small; a segment takes 3 MiB at most.
constexpr uint64_t kLeastFree = 16 << 20;

}  // namespace

std::string segment_in_memory(const std::string& link) {
  remove_segment(link);
  struct statfs fs;
  if (statfs(kMemory, &fs) != 0 || fs.f_type != TMPFS_MAGIC ||
      fs.f_bavail * static_cast<uint64_t>(fs.f_bsize) < kLeastFree)
    return "";
  std::string file = std::string(kMemory) + kName + "XXXXXX";
  const int fd = mkostemp(file.data(), O_CLOEXEC);
  if (fd < 0) return "";
  close(fd);
  return file;
}

int take_room(const std::string& file) {
  const UniqueFd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
  struct stat st;
  if (!fd.valid() || fstat(fd.get(), &st) != 0) return errno;
  if (fallocate(fd.get(), 0, 0, st.st_size) == 0) return 0;
  return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : errno;
}

void remove_segment(const std::string& link) {
  std::error_code error;
  const std::string there = std::filesystem::read_symlink(link, error);
  if (!error && there.rfind(std::string(kMemory) + kName, 0) == 0) unlink(there.c_str());
  unlink(link.c_str());
}

}  // namespace ovl
