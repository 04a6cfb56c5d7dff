#include "tests/model/call.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>

#include "tests/model/words.h"

namespace model {

std::string& Call::text(size_t i) {
  if (!decoded_[i]) texts_[i] = unescape(words_[i]);
  decoded_[i] = true;
  return texts_[i];
}

int Call::dir(size_t i) const { return words_[i] == "-" ? AT_FDCWD : fd(i); }
int Call::fd(size_t i) const { return process_->slots[static_cast<size_t>(num(i)) % kSlots]; }
const char* Call::path(size_t i) { return text(i).c_str(); }
long Call::num(size_t i) const { return number(words_[i]); }

const char* Call::proc_fd(size_t i) {
  texts_[i] = "/proc/self/fd/" + std::to_string(fd(i));
  decoded_[i] = true;
  return texts_[i].c_str();
}

// Nothing shall wait for the other end of a FIFO. O_TMPFILE's number contains O_DIRECTORY's.
int Call::open_flags(size_t i) const { return flags(i) | O_NONBLOCK; }

size_t Call::size(size_t i) const { return std::min<size_t>(num(i), sizeof buffer_); }

const timespec* Call::times(size_t i) {
  for (size_t t = 0; t < 2; t++) {
    const std::string& word = words_[i + t];
    if (word == "now") {
      times_[t] = {0, UTIME_NOW};
    } else if (word == "omit") {
      times_[t] = {0, UTIME_OMIT};
    } else {
      times_[t] = {number(word), number(word) % 1000 * 1000};
    }
  }
  return times_;
}

const char* Call::content(size_t i) {
  const long seed = num(i);
  for (size_t at = 0; at < sizeof buffer_; at++)
    buffer_[at] = static_cast<char>('a' + (seed + at / 7) % 26);
  return buffer_;
}

long Call::opened(size_t slot, int fd) {
  if (fd < 0) return -1;
  int& kept = process_->slots[static_cast<size_t>(num(slot)) % kSlots];
  if (kept >= 0) close(kept);
  kept = fd;
  return 0;  // descriptors' numbers are nobody's business
}

long Call::closed(size_t slot) {
  int& kept = process_->slots[static_cast<size_t>(num(slot)) % kSlots];
  const int fd = kept;
  kept = -1;
  return close(fd);
}

long Call::read_some(size_t, long got) {
  if (got >= 0) seen_->add("read", hash(std::string_view(buffer_, static_cast<size_t>(got))));
  return got;
}

long Call::sought(int fd, long position) {
  struct stat st;
  return position > 0 && t_fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : position;
}

long Call::read_text(long got) {
  if (got >= 0 && static_cast<size_t>(got) <= sizeof buffer_ && buffer_[0] != 0)
    seen_->add("text",
               escape(std::string_view(buffer_, strnlen(buffer_, static_cast<size_t>(got)))));
  return got;
}

// The names alone: a hidden one may count in the size.
long Call::read_names(long got) {
  if (got < 0) return got;
  seen_->add_names("names", std::string_view(buffer_, static_cast<size_t>(got)));
  return 0;
}

long Call::read_path(const char* path) {
  if (path == nullptr) return -1;
  seen_->add("path", escape(path));
  return 0;
}

long Call::shown(int result) {
  if (result == 0) seen_->add_stat("shown", st_);
  return result;
}

long Call::shown_fs(int result) {
  if (result == 0) {
    seen_->add("namelen", static_cast<uint64_t>(stfs_.f_namelen));
    seen_->add("fstype", static_cast<uint64_t>(stfs_.f_type));
  }
  return result;
}

long Call::shown_extended(int result) {
  if (result != 0) return result;
  seen_->add("shown.mode", octal(stx_.stx_mode));
  seen_->add("shown.uid", stx_.stx_uid);
  seen_->add("shown.gid", stx_.stx_gid);
  seen_->add(std::string("shown.") + (S_ISDIR(stx_.stx_mode) ? "dirlink" : "nlink"),
             stx_.stx_nlink);
  if (!S_ISDIR(stx_.stx_mode)) seen_->add("shown.size", stx_.stx_size);
  seen_->add("shown.mtime",
             std::to_string(stx_.stx_mtime.tv_sec) + "." + std::to_string(stx_.stx_mtime.tv_nsec));
  return 0;
}

long Call::read_mapped(int fd, long at, size_t size) {
  if (at < 0) at = 0;
  at &= ~4095L;
  struct stat st;
  // Behind the end of a file is SIGBUS.
  if (t_fstat(fd, &st) < 0) return -1;
  if (!S_ISREG(st.st_mode) || st.st_size <= at) return 0;
  size = std::min(size + 1, static_cast<size_t>(st.st_size - at));
  void* map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, at);
  if (map == MAP_FAILED) return -1;
  seen_->add("read", hash(std::string_view(static_cast<char*>(map), size)));
  munmap(map, size);
  return static_cast<long>(size);
}

// Not into anything that waits.
long Call::sent(int out, int in, size_t size) {
  struct stat st;
  if (t_fstat(out, &st) < 0) return -1;
  if (!S_ISREG(st.st_mode)) return 0;
  return sendfile(out, in, nullptr, size);
}

long Call::bound(const char* path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (strlen(path) == 0 || strlen(path) >= sizeof address.sun_path - 60) return 0;  // a long tree
  strcpy(address.sun_path, path);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int result = t_bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  close(fd);
  errno = error;
  return result;
}

long Call::executed(const char* path) {
  struct stat st;
  if (t_stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) return 0;
  char* const arguments[] = {const_cast<char*>("x"), nullptr};
  char* const environment[] = {nullptr};
  return t_execve(path, arguments, environment);
}

long Call::set_utimes(const char* path, const timespec* times) {
  timeval values[2];
  for (size_t i = 0; i < 2; i++) {
    if (times[i].tv_nsec == UTIME_NOW || times[i].tv_nsec == UTIME_OMIT)
      return t_utimes(path, nullptr);
    values[i] = {times[i].tv_sec, times[i].tv_nsec / 1000};
  }
  return t_utimes(path, values);
}

long Call::listed(int fd) {
  if (fd < 0) return -1;
  seen_->add_listing("ls", fd);
  close(fd);
  return 0;
}

long Call::listed_again(int fd) {
  if (lseek(fd, 0, SEEK_SET) < 0) return -1;
  seen_->add_listing("ls", fd);
  return 0;
}

long Call::listed_in_parts(int fd) {
  if (lseek(fd, 0, SEEK_SET) < 0) return -1;
  return seen_->add_parts("parts", fd) ? 0 : -1;
}

long Call::deepened(int fd) {
  if (fd < 0) return -1;
  static const std::string name(200, 'd');
  constexpr int kLevels = 24;  // 4,800 bytes
  int at[kLevels + 1] = {fd};
  int level = 0;
  std::string told;
  for (; level < kLevels; level++) {
    if (t_mkdirat(at[level], name.c_str(), 0755) < 0) break;
    at[level + 1] = t_openat(at[level], name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at[level + 1] < 0) break;
  }
  const auto tell = [&](const char* what, long result) {
    told +=
        std::string(what) + ":" + (result < 0 ? error_name(errno) : std::to_string(result)) + ",";
  };
  if (level < kLevels) tell("made", -1);
  struct stat st;
  const int last = at[level];
  const int file = t_openat(last, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  tell("create", file < 0 ? -1 : 0);
  if (file >= 0) {
    tell("write", write(file, "deep", 4));
    tell("fstat", t_fstat(file, &st) < 0 ? -1 : st.st_size);
    close(file);
  }
  tell("chmod", t_fchmodat2(last, "file", 0600, 0));
  tell("rename", t_renameat2(last, "file", last, "moved", 0));
  tell("link", t_linkat(last, "moved", last, "linked", 0));
  tell("lstat", t_fstatat(last, "moved", &st, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : long(st.st_nlink));
  tell("up", t_fstatat(last, "..", &st, 0));
  const int before = t_open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (before >= 0 && t_fchdir(last) == 0) {
    tell("stat", t_stat("moved", &st));
    tell("getcwd", t_getcwd(buffer_, 4096) == nullptr ? -1 : 0);
    tell("removed", t_unlink("linked"));
    tell("back", t_fchdir(before));
  }
  if (before >= 0) close(before);
  tell("unlink", t_unlinkat(last, "moved", 0));
  for (; level >= 0; level--) {
    if (level < kLevels && t_unlinkat(at[level], name.c_str(), AT_REMOVEDIR) < 0 && errno != ENOENT)
      tell("rmdir", -1);
    close(at[level]);
  }
  seen_->add("deep", told);
  return 0;
}

long Call::fork_process(size_t number_at) {
  const int number = static_cast<int>(num(number_at)) % kProcesses;
  fflush(nullptr);
  const pid_t child = fork();
  if (child != 0) return child < 0 ? -1 : 0;
  process_->number = number;
  serve(process_);
}

}  // namespace model
