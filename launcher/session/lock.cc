// See lock.h.
#include "launcher/session/lock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/failure.h"
#include "launcher/session/plan.h"

namespace ovl {
namespace {

struct flock whole_lock(short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return lock;
}

std::string read_all(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char chunk[4096];
  for (ssize_t n; file.valid() && (n = read(file.get(), chunk, sizeof chunk)) > 0;)
    text.append(chunk, static_cast<size_t>(n));
  return text;
}

// The command of an ovlrun, from the NUL-terminated words of its command line: "make install".
std::string command_of(const std::string& command_line) {
  const size_t dashes = command_line.find(std::string("\0--\0", 4));
  std::string words = dashes == std::string::npos ? command_line : command_line.substr(dashes + 4);
  for (char& c : words)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  while (!words.empty() && words.back() == ' ') words.pop_back();
  return words;
}

// "pid 123 (make install)".
std::string describe(long pid, const std::string& command) {
  if (command.empty()) return fmt::format("pid {}", pid);
  return fmt::format("pid {} ({})", pid,
                     command.size() > 160 ? command.substr(0, 157) + "..." : command);
}

std::string command_of_process(long pid) {
  return command_of(read_all(fmt::format("/proc/{}/cmdline", pid)));
}

constexpr int kTries = 50;
void pause_a_moment() {
  const struct timespec pause = {0, 10'000'000};
  nanosleep(&pause, nullptr);
}

std::string lock_path(const std::string& work) { return session_dir(work) + "/lock"; }

// "<pid> <command>" on its first line.
std::string holder_in_file(const std::string& path) {
  const std::string text = read_all(path);
  const std::string line = text.substr(0, text.find('\n'));
  const long pid = strtol(line.c_str(), nullptr, 10);
  const size_t blank = line.find(' ');
  return pid > 0 ? describe(pid, blank == std::string::npos ? "" : line.substr(blank + 1))
                 : "another session";
}

std::optional<long> pid_of_holder(const UniqueFd& upper) {
  struct flock lock = whole_lock(F_WRLCK);
  if (fcntl(upper.get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return std::nullopt;
  return std::max<long>(lock.l_pid, 0);
}

// "": nobody.
std::string holder_of(const UniqueFd& upper) {
  const std::optional<long> pid = pid_of_holder(upper);
  if (!pid) return "";
  return *pid == 0 ? "another session" : process_text(*pid);
}

}  // namespace

std::string process_text(long pid) { return describe(pid, command_of_process(pid)); }

std::string upper_holder(const std::string& upper) {
  UniqueFd dir(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return dir.valid() ? holder_of(dir) : "";
}

std::optional<long> upper_holder_pid(const std::string& upper) {
  const UniqueFd dir(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return dir.valid() ? pid_of_holder(dir) : std::nullopt;
}

UniqueFd hold_upper_too(const std::string& upper) {
  UniqueFd dir(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct flock own = whole_lock(F_RDLCK);
  if (!dir.valid() || fcntl(dir.get(), F_SETLK, &own) != 0)
    fail("--upper {}: {}", quote(upper), error_text(errno));
  return dir;
}

std::string work_holder(const std::string& work) {
  UniqueFd file(open(lock_path(work).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid() || flock(file.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return "";
  return holder_in_file(lock_path(work));
}

namespace {

// A start that fails takes away what it had made (while it holds the locks of it): then a waiter
// has got the lock of something that nobody can find any more.
bool is_still_at(int fd, const std::string& path) {
  struct stat held, named;
  return fstat(fd, &held) == 0 && stat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

}  // namespace

UpperLock::UpperLock(const std::string& upper, const std::string& work, Created& created) {
  for (int tries = 0; !lock_upper(upper, created); tries++)
    if (tries == kTries) fail("--upper {}: others keep removing it", quote(upper));
  for (int tries = 0; !lock_work(work, created); tries++)
    if (tries == kTries) fail("--work {}: others keep removing it", quote(work));
}

bool UpperLock::lock_upper(const std::string& upper, Created& created) {
  Created made;
  made.make_dirs(upper, "--upper");
  upper_ = UniqueFd(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!upper_.valid() && errno == ENOENT) return false;
  if (!upper_.valid()) fail("--upper {}: {}", quote(upper), error_text(errno));
  const auto refuse_if_held = [&] {
    const std::string holder = holder_of(upper_);
    if (holder.empty()) return;
    made.keep();  // it is the holder's now
    fail("--upper {}: is in use by {}", quote(upper), holder);
  };
  // flock keeps two that start at the same moment apart; it is given back when the session has
  // started. A file system without locks on directories has the lock file alone.
  for (int tries = 0; flock(upper_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
       tries++) {
    refuse_if_held();
    if (tries == kTries) {
      made.keep();
      fail("--upper {}: is locked by another process", quote(upper));
    }
    pause_a_moment();
  }
  refuse_if_held();
  made.move_to(created);
  tell_holder();
  return is_still_at(upper_.get(), upper);
}

void UpperLock::tell_holder() {
  struct flock own = whole_lock(F_RDLCK);
  (void)fcntl(upper_.get(), F_SETLK, &own);
}

void UpperLock::started() {
  // What has read the upper's directory since, and closed it, has given the first one back.
  tell_holder();
  flock(upper_.get(), LOCK_UN);
}

bool UpperLock::lock_work(const std::string& work, Created& created) {
  Created made;
  made.make_dirs(work, "--work");
  made.make_dirs(session_dir(work), "--work");
  const std::string path = lock_path(work);
  UniqueFd out(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (out.valid())
    made.add(path);
  else if (errno == EEXIST)
    out = UniqueFd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!out.valid() && errno == ENOENT) return false;
  if (!out.valid()) fail("--work {}: {}", quote(path), error_text(errno));
  // A file that stays open for writing would keep the file system from becoming read-only.
  file_ = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file_.valid() && errno == ENOENT) return false;
  if (!file_.valid()) fail("--work {}: {}", quote(path), error_text(errno));
  // Another start may be looking who holds it, with a lock of its own for a moment.
  for (int tries = 0; flock(file_.get(), LOCK_EX | LOCK_NB) != 0; tries++) {
    const int error = errno;
    if (error == EBADF && out.valid()) {  // NFS locks for writing what is open for writing
      file_ = UniqueFd(out.release());
      continue;
    }
    if (error == EWOULDBLOCK && tries < kTries) {
      pause_a_moment();
      continue;
    }
    made.keep();
    if (error != EWOULDBLOCK) fail("--work {}: can't lock it: {}", quote(path), error_text(error));
    fail("--work {}: is in use by {}", quote(work), holder_in_file(path));
  }
  made.move_to(created);
  if (!is_still_at(file_.get(), path)) return false;
  const int to = out.valid() ? out.get() : file_.get();
  const std::string text = fmt::format("{} {}\n", getpid(), command_of_process(getpid()));
  // In this order it is never empty, which file systems take for a reason to write the file out.
  struct stat st;
  const auto size = static_cast<off_t>(text.size());
  if (pwrite(to, text.data(), text.size(), 0) != size || fstat(to, &st) != 0 ||
      (st.st_size > size && ftruncate(to, size) != 0))
    fail("--work {}: {}", quote(path), error_text(errno));
  return true;
}

}  // namespace ovl
