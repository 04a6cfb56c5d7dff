#include "tests/model/call.h"

#include <string.h>
#include <sys/time.h>

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

long Call::fork_process(size_t number_at) {
  const int number = static_cast<int>(num(number_at)) % kProcesses;
  fflush(nullptr);
  const pid_t child = fork();
  if (child != 0) return child < 0 ? -1 : 0;
  process_->number = number;
  serve(process_);
}

}  // namespace model
