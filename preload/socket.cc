// Sockets: only names of AF_UNIX sockets that lie in the file system concern the overlay;
// everything else goes straight on. Where libc's functions are cancellation points, so are these.
#include <sys/socket.h>
#include <sys/un.h>

#include "core/walk/walk.h"
#include "preload/call.h"
#include "preload/interposers.h"

extern "C" [[noreturn]] void __chk_fail();

namespace ovl {
namespace {

UserBuf buf(const void* memory) { return UserBuf(reinterpret_cast<uintptr_t>(memory)); }

// A name in the file system: not unnamed, not abstract.
bool has_path(const void* address, size_t size) {
  if (address == nullptr || size <= offsetof(sockaddr_un, sun_path)) return false;
  const auto* un = static_cast<const sockaddr_un*>(address);
  return un->sun_family == AF_UNIX && un->sun_path[0] != 0;
}

template <class... Args>
long cancellable(long number, Args... args) {
  CancellationPoint point;
  return raw_call(number, args...);
}

// A peer's name as the kernel has it, real, becomes the program's. `room`: of the program's buffer.
void show_name(void* address, socklen_t room, socklen_t* size) {
  if (size == nullptr || !has_path(address, room < *size ? room : *size)) return;
  Session* session = attached();
  auto* un = static_cast<sockaddr_un*>(address);
  constexpr socklen_t kOffset = offsetof(sockaddr_un, sun_path);
  if (session == nullptr || *size > room || un->sun_path[0] != '/') return;
  PreloadCaller caller;
  Op op(caller, *session);
  const CStr real = op.arena().dup(Str(un->sun_path, strnlen(un->sun_path, *size - kOffset)));
  if (real.data() == nullptr) return;
  Result<CStr> shown = map_back(op, real);
  if (!shown.ok() || shown.value() == Str(real) || shown.value().size() >= sizeof un->sun_path)
    return;
  const socklen_t whole = kOffset + static_cast<socklen_t>(shown.value().size()) + 1;
  memcpy(un->sun_path, shown.value().c_str(), (whole < room ? whole : room) - kOffset);
  *size = whole;
}

// Descriptors came, perhaps, that were on their way while this process looked at its own.
void expect_stale() {
  Session* session = attached();
  if (session != nullptr && stale_count(*session) != 0) local_forget_followed();
}

long receive(long result, void* address, socklen_t room, socklen_t* size) {
  if (result >= 0) show_name(address, room, size);
  return libc_style(result);
}

// The kernel's answer, unless it is a path: then the overlay's.
template <class Ask>
int name_of(long number, int fd, sockaddr* address, socklen_t* size, Ask ask_overlay) {
  const socklen_t room = size != nullptr ? *size : 0;
  long r = raw_call(number, fd, address, size);
  if (r == 0 && has_path(address, room < *size ? room : *size)) {
    *size = room;
    r = ask_overlay();
  }
  return static_cast<int>(libc_style(r));
}

}  // namespace

int ip_connect(int fd, const struct sockaddr* address, socklen_t size) {
  const long r = has_path(address, size) ? OVL_CALL(connect, fd, buf(address), size)
                                         : cancellable(SYS_connect, fd, address, size);
  return static_cast<int>(libc_style(r));
}

int ip_bind(int fd, const struct sockaddr* address, socklen_t size) {
  const long r = has_path(address, size) ? OVL_CALL(bind, fd, buf(address), size)
                                         : raw_call(SYS_bind, fd, address, size);
  return static_cast<int>(libc_style(r));
}

ssize_t ip_sendto(int fd, const void* data, size_t size, int flags, const struct sockaddr* address,
                  socklen_t address_size) {
  return libc_style(has_path(address, address_size)
                        ? OVL_CALL(sendto, fd, buf(data), size, flags, buf(address), address_size)
                        : cancellable(SYS_sendto, fd, data, size, flags, address, address_size));
}

ssize_t ip_sendmsg(int fd, const struct msghdr* message, int flags) {
  const bool ours = message != nullptr && has_path(message->msg_name, message->msg_namelen);
  return libc_style(ours ? OVL_CALL(sendmsg, fd, buf(message), flags)
                         : cancellable(SYS_sendmsg, fd, message, flags));
}

int ip_sendmmsg(int fd, struct mmsghdr* messages, unsigned count, int flags) {
  bool ours = false;
  for (unsigned i = 0; messages != nullptr && i < count; i++)
    ours |= has_path(messages[i].msg_hdr.msg_name, messages[i].msg_hdr.msg_namelen);
  return static_cast<int>(libc_style(ours ? OVL_CALL(sendmmsg, fd, buf(messages), count, flags)
                                          : cancellable(SYS_sendmmsg, fd, messages, count, flags)));
}

int ip_accept(int fd, struct sockaddr* address, socklen_t* size) {
  const socklen_t room = size != nullptr ? *size : 0;
  return static_cast<int>(receive(cancellable(SYS_accept, fd, address, size), address, room, size));
}
int ip_accept4(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  const socklen_t room = size != nullptr ? *size : 0;
  return static_cast<int>(
      receive(cancellable(SYS_accept4, fd, address, size, flags), address, room, size));
}

ssize_t ip_recvfrom(int fd, void* data, size_t size, int flags, struct sockaddr* address,
                    socklen_t* address_size) {
  const socklen_t room = address_size != nullptr ? *address_size : 0;
  return receive(cancellable(SYS_recvfrom, fd, data, size, flags, address, address_size), address,
                 room, address_size);
}
ssize_t ip___recvfrom_chk(int fd, void* data, size_t size, size_t room, int flags,
                          struct sockaddr* address, socklen_t* address_size) {
  if (size > room) __chk_fail();
  return ip_recvfrom(fd, data, size, flags, address, address_size);
}

ssize_t ip_recvmsg(int fd, struct msghdr* message, int flags) {
  const bool wanted = message != nullptr && message->msg_name != nullptr;
  const socklen_t room = wanted ? message->msg_namelen : 0;
  const long r = cancellable(SYS_recvmsg, fd, message, flags);
  if (r >= 0 && message->msg_controllen != 0) expect_stale();
  return wanted ? receive(r, message->msg_name, room, &message->msg_namelen) : libc_style(r);
}
int ip_recvmmsg(int fd, struct mmsghdr* messages, unsigned count, int flags,
                struct timespec* timeout) {
  const long n = cancellable(SYS_recvmmsg, fd, messages, count, flags, timeout);
  // Each buffer has room for a whole name, or what it held was cut off already.
  for (long i = 0; i < n; i++) {
    msghdr& message = messages[i].msg_hdr;
    if (message.msg_controllen != 0) expect_stale();
    if (message.msg_name != nullptr && message.msg_namelen <= sizeof(sockaddr_un))
      show_name(message.msg_name, message.msg_namelen, &message.msg_namelen);
  }
  return static_cast<int>(libc_style(n));
}

int ip_getsockname(int fd, struct sockaddr* address, socklen_t* size) {
  return name_of(SYS_getsockname, fd, address, size,
                 [&] { return OVL_CALL(getsockname, fd, buf(address), buf(size)); });
}

int ip_getpeername(int fd, struct sockaddr* address, socklen_t* size) {
  return name_of(SYS_getpeername, fd, address, size,
                 [&] { return OVL_CALL(getpeername, fd, buf(address), buf(size)); });
}

}  // namespace ovl
