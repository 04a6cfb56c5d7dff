// See notification.h.
#include "launcher/supervisor/notification.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

namespace ovl {

Received Notification::receive() {
  memset(&call_, 0, sizeof call_);
  answered_ = false;
  if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &call_) == 0) return Received::kCall;
  struct pollfd state = {listener_, POLLIN, 0};
  if (poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0) return Received::kNobodyLeft;
  return Received::kNothing;
}

bool Notification::valid() const {
  const uint64_t id = call_.id;
  return ioctl(listener_, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

void Notification::send(const seccomp_notif_resp& response) {
  if (answered_) return;
  answered_ = true;
  seccomp_notif_resp copy = response;
  while (ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &copy) != 0 && errno == EINTR) {
  }
}

void Notification::answer(long value) {
  seccomp_notif_resp response = {};
  response.id = call_.id;
  if (value < 0 && value >= -4095)
    response.error = static_cast<int>(value);
  else
    response.val = value;
  send(response);
}

void Notification::pass() {
  seccomp_notif_resp response = {};
  response.id = call_.id;
  response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  send(response);
}

Result<int> Notification::add(int fd, bool close_on_exec, unsigned flags) {
  seccomp_notif_addfd request = {};
  request.id = call_.id;
  request.flags = flags;
  request.srcfd = static_cast<uint32_t>(fd);
  request.newfd_flags = close_on_exec ? O_CLOEXEC : 0;
  const int number = ioctl(listener_, SECCOMP_IOCTL_NOTIF_ADDFD, &request);
  if (number < 0) return Error(errno);
  return number;
}

Result<void> Notification::replace(int number, int fd, bool close_on_exec) {
  seccomp_notif_addfd request{};
  request.id = call_.id;
  request.flags = SECCOMP_ADDFD_FLAG_SETFD;
  request.srcfd = static_cast<uint32_t>(fd);
  request.newfd = static_cast<uint32_t>(number);
  request.newfd_flags = close_on_exec ? O_CLOEXEC : 0;
  if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_ADDFD, &request) < 0) return Error(errno);
  return {};
}

Result<int> Notification::put(int fd, bool close_on_exec) { return add(fd, close_on_exec, 0); }

Result<int> Notification::give(int fd, bool close_on_exec) {
  Result<int> number = add(fd, close_on_exec, SECCOMP_ADDFD_FLAG_SEND);
  if (number.ok()) answered_ = true;
  if (number.ok() || number.error() != EINVAL) return number;
  number = put(fd, close_on_exec);  // Linux before 5.14: in two steps
  if (number.ok()) answer(number.value());
  return number;
}

void wake_synchronously(int listener) {
  constexpr unsigned long kSyncWakeUp = 1;
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, kSyncWakeUp);
}

}  // namespace ovl
