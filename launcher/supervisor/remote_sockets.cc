// RemoteCaller's calls on sockets that only the task itself can make: they may block, and tell the
// other side who calls. What they take from memory is laid out as the table that the task came
// through has it; what it points at in the task's memory stays where it is.
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/supervisor/i386_layouts.h"
#include "launcher/supervisor/remote_caller.h"

namespace ovl {
namespace {

// How the calls of a table see messages.
struct Form {
  long connect, sendmsg, sendmmsg;
  size_t iov;     // offset of msg_iov
  size_t many;    // size of one of many messages
  size_t length;  // offset of its msg_len
};
constexpr Form kNative = {SYS_connect,     SYS_sendmsg,
                          SYS_sendmmsg,    offsetof(msghdr, msg_iov),
                          sizeof(mmsghdr), offsetof(mmsghdr, msg_len)};
constexpr Form kI386 = {362,
                        370,
                        345,
                        offsetof(i386::Msghdr, msg_iov),
                        sizeof(i386::Mmsghdr),
                        offsetof(i386::Mmsghdr, msg_len)};
static_assert(offsetof(msghdr, msg_name) == 0 && offsetof(i386::Msghdr, msg_name) == 0);
const Form& form_of(CallAbi abi) { return abi == CallAbi::kI386 ? kI386 : kNative; }

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_message(std::string& bytes, CallAbi abi, const mmsghdr& message) {
  if (abi == CallAbi::kI386)
    append(bytes, i386::narrow(message));
  else
    append(bytes, message);
}

// The address for the task. One by a descriptor of ours it reaches through our own entry of /proc.
// Errors: ENAMETOOLONG.
Result<std::string> address_there(const void* address, size_t size) {
  std::string bytes(static_cast<const char*>(address), size);
  constexpr size_t kPath = offsetof(sockaddr_un, sun_path);
  constexpr const char* kOwn = "/proc/self/fd/";
  sa_family_t family = AF_UNSPEC;
  memcpy(&family, bytes.data(), std::min(size, sizeof family));
  if (family != AF_UNIX || size <= kPath || bytes.compare(kPath, strlen(kOwn), kOwn) != 0)
    return bytes;
  const std::string rest = bytes.c_str() + kPath + strlen(kOwn);
  bytes.resize(kPath);
  bytes += "/proc/" + std::to_string(getpid()) + "/fd/" + rest;
  bytes.push_back('\0');
  if (bytes.size() > sizeof(sockaddr_un)) return Error(ENAMETOOLONG);
  return bytes;
}

// Puts the name of a message there, and returns where: msg_name is left to be pointed at it.
Result<size_t> put_name(TaskCall& call, msghdr& head) {
  const std::string name = TRY(address_there(head.msg_name, head.msg_namelen));
  head.msg_name = nullptr;
  head.msg_namelen = static_cast<socklen_t>(name.size());
  return call.put(name.data(), name.size(), 8);
}

}  // namespace

long RemoteCaller::connect(int fd, const void* address, size_t size) {
  Result<std::string> there = address_there(address, size);
  if (!there.ok()) return -there.error();
  const std::string& bytes = there.value();
  TaskCall call(abi(), form_of(abi()).connect, {static_cast<unsigned long>(fd), 0, bytes.size()});
  call.point_argument(1, call.put(bytes.data(), bytes.size(), 8));
  return assist(call);
}

// One message, with the name in our memory. `iovec`: what goes with it; "": what msg_iov points at,
// in the task's.
long RemoteCaller::send_one(int fd, const msghdr& head, const std::string& iovec, int flags) {
  TaskCall call(abi(), form_of(abi()).sendmsg,
                {static_cast<unsigned long>(fd), 0, static_cast<unsigned long>(flags)});
  mmsghdr message = {};
  message.msg_hdr = head;
  const Result<size_t> name = put_name(call, message.msg_hdr);
  if (!name.ok()) return -name.error();
  const size_t iov = call.put(iovec.data(), iovec.size(), 8);
  std::string bytes;
  append_message(bytes, abi(), message);
  const size_t at = call.put(bytes.data(), bytes.size(), 8);
  call.point(at, name.value());
  if (!iovec.empty()) call.point(at + form_of(abi()).iov, iov);
  call.point_argument(1, at);
  return assist(call);
}

// sendto(2) has no room for the pass.
long RemoteCaller::send_to(int fd, unsigned long data, size_t size, int flags, void* address,
                           unsigned address_size) {
  msghdr head = {};
  head.msg_name = address;
  head.msg_namelen = address_size;
  head.msg_iovlen = 1;
  std::string iovec;
  for (const unsigned long word : {data, size}) {
    if (abi() == CallAbi::kI386)
      append(iovec, static_cast<uint32_t>(word));
    else
      append(iovec, word);
  }
  return send_one(fd, head, iovec, flags);
}

// `message`: a msghdr with iov and control in the task's memory, and the name in ours.
long RemoteCaller::send_message(int fd, const void* message, int flags) {
  msghdr head;
  memcpy(&head, message, sizeof head);
  return send_one(fd, head, "", flags);
}

// `messages`: mmsghdrs of that kind; some have no name. `there`: the task's own, whose msg_len is
// filled.
long RemoteCaller::send_messages(int fd, const void* messages, size_t count, int flags,
                                 unsigned long there) {
  const Form& form = form_of(abi());
  TaskCall call(abi(), form.sendmmsg,
                {static_cast<unsigned long>(fd), 0, count, static_cast<unsigned long>(flags)});
  std::string bytes;
  std::vector<std::pair<size_t, size_t>> names;  // of the message, of its name
  for (size_t i = 0; i < count; i++) {
    mmsghdr message;
    memcpy(&message, static_cast<const char*>(messages) + i * sizeof message, sizeof message);
    msghdr& head = message.msg_hdr;
    if (head.msg_name != nullptr) {
      const Result<size_t> name = put_name(call, head);
      if (!name.ok()) return -name.error();
      names.emplace_back(i, name.value());
    }
    append_message(bytes, abi(), message);
  }
  const size_t at = call.put(bytes.data(), bytes.size(), 8);
  for (const auto& [i, name] : names) call.point(at + i * form.many, name);
  for (size_t i = 0; i < count; i++) {
    const size_t length = i * form.many + form.length;
    call.copy_back(at + length, sizeof(unsigned), there + length);
  }
  call.point_argument(1, at);
  return assist(call);
}

}  // namespace ovl
