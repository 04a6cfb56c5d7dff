// See volatile_mark.h.
#include "launcher/session/volatile_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>

#include "core/base/unique_fd.h"
#include "launcher/failure.h"

namespace ovl {
namespace {

constexpr const char* kDirectories[] = {"/work", "/incompat", "/volatile"};  // one in the other

// A directory that its owner may search, for a moment.
class Opened {
 public:
  explicit Opened(std::string path) : path_(std::move(path)) {
    struct stat st;
    if (lstat(path_.c_str(), &st) != 0 || !S_ISDIR(st.st_mode) || (st.st_mode & S_IXUSR) != 0)
      return;
    mode_ = st.st_mode & 07777;
    changed_ = chmod(path_.c_str(), mode_ | 0700) == 0;
  }
  ~Opened() {
    if (changed_) (void)!chmod(path_.c_str(), mode_);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  std::string path_;
  mode_t mode_ = 0;
  bool changed_ = false;
};

void write_out(const std::string& path, int flags) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags));
  if (!fd.valid() || fsync(fd.get()) != 0) fail("{}: {}", quote(path), error_text(errno));
}

}  // namespace

std::string volatile_mark(const std::string& work) {
  return work + "/work/incompat/volatile/dirty";
}

bool has_volatile_mark(const std::string& work) {
  const std::string mark = volatile_mark(work);
  struct stat st;
  if (lstat(mark.c_str(), &st) == 0) return true;
  if (errno != EACCES) return false;
  std::deque<Opened> opened;
  std::string path = work;
  for (const char* directory : kDirectories) opened.emplace_back(path += directory);
  const bool found = lstat(mark.c_str(), &st) == 0;
  while (!opened.empty()) opened.pop_back();  // the innermost first
  return found;
}

void make_volatile_mark(const std::string& work, Created& created) {
  std::string path = work;
  for (const char* directory : kDirectories) {
    path += directory;
    if (mkdir(path.c_str(), 0700) == 0)
      created.add(path);
    else if (errno != EEXIST)
      fail("{}: {}", quote(path), error_text(errno));
  }
  const std::string mark = volatile_mark(work);
  const UniqueFd fd(open(mark.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid() && errno != EEXIST) fail("{}: {}", quote(mark), error_text(errno));
  if (!fd.valid()) return;
  created.add(mark);
  // The first data may come to the disk before the journal does.
  write_out(mark, 0);
  write_out(path, O_DIRECTORY);
  write_out(work + "/work/incompat", O_DIRECTORY);
}

void remove_volatile_mark(const std::string& work) {
  const std::string mark = volatile_mark(work);
  if (unlink(mark.c_str()) != 0 && errno != ENOENT) fail("{}: {}", quote(mark), error_text(errno));
  // Others may have marks there.
  if (rmdir((work + "/work/incompat/volatile").c_str()) == 0)
    rmdir((work + "/work/incompat").c_str());
}

}  // namespace ovl
