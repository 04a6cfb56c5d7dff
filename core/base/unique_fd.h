// An owned descriptor of this process. Closing goes through the raw call (sys/), never through
// libc's close, which a program may have interposed.
#pragma once

#include <utility>

namespace ovl {

void close_raw(int fd);  // sys/sys.cc

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) close_raw(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace ovl
