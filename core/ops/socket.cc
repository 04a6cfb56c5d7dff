// Socket calls that carry a path (unix(7)): bind, connect, sendto, sendmsg, sendmmsg; getsockname
// and getpeername show the program's path again. sun_path holds 108 bytes, real paths of an upper
// may be longer: then the name goes through a descriptor of its directory that lives for the moment
// of the call. Kernel counterpart: unix_bind(), unix_find_bsd().
#include <sys/socket.h>
#include <sys/un.h>

#include "core/attr/attr.h"
#include "core/caller/descriptor_link.h"
#include "core/names/create.h"
#include "core/ops/ops.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);

struct Address {
  bool has_path = false;
  sockaddr_un un{};
  unsigned size = 0;
  CStr path;
};

Result<Address> copy_in_address(Op& op, UserBuf user, unsigned size) {
  Address address;
  if (size <= kPathOffset || size > sizeof address.un) return address;
  TRY(op.caller().copy_in(&address.un, user.as<const void>(), size));
  if (address.un.sun_family != AF_UNIX || address.un.sun_path[0] == 0) return address;
  address.has_path = true;
  address.size = size;
  address.path =
      op.arena().dup(Str(address.un.sun_path, strnlen(address.un.sun_path, size - kPathOffset)));
  if (address.path.data() == nullptr) return Error(ENOMEM);
  return address;
}

constexpr size_t kDescriptorPathMax = 26;  // "/proc/self/fd/<number>/"

// Can to_address() name a new object with this real path?
bool fits(Str real) {
  return real.size() < sizeof(sockaddr_un::sun_path) ||
         base_name(real).size() + kDescriptorPathMax <= sizeof(sockaddr_un::sun_path);
}

CStr descriptor_path(Op& op, int fd, Str name) {
  return op.arena().concat("/proc/self/fd/", number_text(op.arena(), fd), name.empty() ? "" : "/",
                           name);
}

void set_path(Address* address, CStr path) {
  memset(address->un.sun_path, 0, sizeof address->un.sun_path);
  memcpy(address->un.sun_path, path.c_str(), path.size() + 1);
  address->size = static_cast<unsigned>(kPathOffset + path.size() + 1);
}

// The real path of a new object as an address; `keep` holds what must stay open until the call is
// made.
Result<void> to_address(Op& op, CStr real, Address* address, UniqueFd* keep) {
  if (real.size() >= sizeof address->un.sun_path) {
    if (!fits(real)) return Error(ENAMETOOLONG);
    *keep = TRY(sys_openat(op.arena().dup(dir_name(real)), O_PATH | O_DIRECTORY));
    real = descriptor_path(op, keep->get(), base_name(real));
  }
  if (real.data() == nullptr) return Error(ENOMEM);
  set_path(address, real);
  return {};
}

// The same for an object that exists: it is named by a descriptor of its own, however long its name
// is.
Result<void> to_existing(Op& op, CStr real, Address* address, UniqueFd* keep) {
  if (real.size() >= sizeof address->un.sun_path) {
    *keep = TRY(sys_openat(real, O_PATH | O_NOFOLLOW));
    real = descriptor_path(op, keep->get(), "");
  }
  if (real.data() == nullptr) return Error(ENOMEM);
  set_path(address, real);
  return {};
}

// Where an existing socket is to be reached. False: as the program said.
Result<bool> reach(Op& op, Address* address, UniqueFd* keep) {
  if (!address->has_path) return false;
  Walked w = TRY(walk_existing(op, AT_FDCWD, address->path, kFollow));
  if (w.native) return false;
  const CStr real = w.outside() ? w.outside_path : w.node->top();
  if (!w.outside()) TRY(may(op, *w.node, 2 /* W_OK */));
  TRY(to_existing(op, real, address, keep));
  return true;
}

// What bind(2) makes.
class NewSocket final : public Creation {
 public:
  NewSocket(Op& op, int fd, const Address& address)
      : Creation(Kind::kOther), op_(op), fd_(fd), address_(address) {}
  bool can_make(CStr real) const override { return fits(real); }
  Result<void> make(CStr real) override {
    UniqueFd keep;
    TRY(to_address(op_, real, &address_, &keep));
    TRY(checked(op_.caller().raw(SYS_bind, fd_, reinterpret_cast<long>(&address_.un), address_.size,
                                 0, 0, 0)));
    return {};
  }

 private:
  Op& op_;
  const int fd_;
  Address address_;
};

}  // namespace

Outcome op_bind(Op& op, int fd, UserBuf user, unsigned size) {
  const Address address = TRY(copy_in_address(op, user, size));
  if (!address.has_path) return Outcome::native();
  return until_still([&]() -> Outcome {
    NamePath target(op, AT_FDCWD);
    TRY(target.find(address.path, kParent));
    if (target.native()) return Outcome::native();
    NewSocket creation(op, fd, address);
    const Result<void> r = target.outside() ? creation.make(target.walked().outside_path)
                                            : create_name(op, target, creation);
    if (!r.ok()) return Error(r.error() == EEXIST ? EADDRINUSE : r.error());
    return 0;
  });
}

Outcome op_connect(Op& op, int fd, UserBuf user, unsigned size) {
  Address address = TRY(copy_in_address(op, user, size));
  UniqueFd keep;
  if (!TRY(reach(op, &address, &keep))) return Outcome::native();
  return op.caller().raw(SYS_connect, fd, reinterpret_cast<long>(&address.un), address.size, 0, 0,
                         0);
}

Outcome op_sendto(Op& op, int fd, UserBuf data, size_t size, int flags, UserBuf user,
                  unsigned user_size) {
  if (user.null()) return Outcome::native();
  Address address = TRY(copy_in_address(op, user, user_size));
  UniqueFd keep;
  if (!TRY(reach(op, &address, &keep))) return Outcome::native();
  return op.caller().raw(SYS_sendto, fd, static_cast<long>(data.address()), static_cast<long>(size),
                         flags, reinterpret_cast<long>(&address.un), address.size);
}

namespace {

// A message of sendmsg(2) as the kernel is to have it, with the address here; what it points at
// further stays the caller's.
struct Message {
  Address address;
  sockaddr_storage other;  // an address that is none of ours
  UniqueFd keep;
};

// False: the message goes where the program's own words say.
Result<bool> address_message(Op& op, UserBuf user, msghdr* head, Message* m) {
  TRY(op.caller().copy_in(head, user.as<const void>(), sizeof *head));
  if (head->msg_name == nullptr) return false;
  m->address = TRY(copy_in_address(op, UserBuf(head->msg_name), head->msg_namelen));
  if (!TRY(reach(op, &m->address, &m->keep))) return false;
  head->msg_name = &m->address.un;
  head->msg_namelen = m->address.size;
  return true;
}

// The program's own address, copied. Kernel counterpart: __copy_msghdr().
Result<void> copy_other_address(Op& op, msghdr* head, Message* m) {
  const UserBuf name(head->msg_name);
  if (static_cast<int>(head->msg_namelen) < 0) return Error(EINVAL);
  if (head->msg_namelen > sizeof m->other) head->msg_namelen = sizeof m->other;
  if (name.null()) head->msg_namelen = 0;
  head->msg_name = head->msg_namelen == 0 ? nullptr : &m->other;
  return op.caller().copy_in(&m->other, name.as<const void>(), head->msg_namelen);
}

// The messages of sendmmsg(2), up to the first that fails.
class Messages {
 public:
  Messages(Op& op, UserBuf user) : op_(op), user_(user) {}
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;
  ~Messages() {
    for (unsigned i = 0; i < made_; i++) messages_[i].~Message();
  }

  Result<void> load(unsigned count) {
    heads_ = op_.arena().array<mmsghdr>(count);
    messages_ = op_.arena().array<Message>(count);
    if (heads_ == nullptr || messages_ == nullptr) return Error(ENOMEM);
    for (; count_ < count; count_++) TRY(load_next());
    return {};
  }
  bool any_of_ours() const { return any_of_ours_; }
  unsigned count() const { return count_; }
  mmsghdr* heads() { return heads_; }
  UserBuf length_of(unsigned i) const {
    return UserBuf(user_.address() + i * sizeof(mmsghdr) + offsetof(mmsghdr, msg_len));
  }

 private:
  Result<void> load_next() {
    msghdr* head = &heads_[count_].msg_hdr;
    auto* m = new (&messages_[made_++]) Message();
    const UserBuf user(user_.address() + count_ * sizeof(mmsghdr));
    Result<bool> ours = address_message(op_, user, head, m);
    // Also what leads nowhere in an overlay is ours. What can't be read is as good as the kernel's.
    any_of_ours_ = any_of_ours_ || (ours.ok() ? ours.value() : ours.error() != EFAULT);
    return TRY(std::move(ours)) ? Result<void>() : copy_other_address(op_, head, m);
  }

  Op& op_;
  UserBuf user_;
  mmsghdr* heads_ = nullptr;
  Message* messages_ = nullptr;
  unsigned made_ = 0, count_ = 0;
  bool any_of_ours_ = false;
};

}  // namespace

Outcome op_sendmsg(Op& op, int fd, UserBuf user, int flags) {
  msghdr head;
  Message m;
  if (!TRY(address_message(op, user, &head, &m))) return Outcome::native();
  return op.caller().raw(SYS_sendmsg, fd, reinterpret_cast<long>(&head), flags, 0, 0, 0);
}

// An error shows only when nothing was sent. The kernel looks at four arguments; a caller that goes
// on before we do needs to know where the lengths belong. Kernel counterpart: __sys_sendmmsg().
Outcome op_sendmmsg(Op& op, int fd, UserBuf user, unsigned count, int flags) {
  constexpr unsigned kMost = 1024;  // UIO_MAXIOV
  Messages messages(op, user);
  const Result<void> loaded = messages.load(count < kMost ? count : kMost);
  if (!messages.any_of_ours()) return Outcome::native();
  if (messages.count() == 0) return loaded;
  const long sent = op.caller().raw(SYS_sendmmsg, fd, reinterpret_cast<long>(messages.heads()),
                                    messages.count(), flags, static_cast<long>(user.address()), 0);
  for (long i = 0; i < sent; i++) {
    const auto at = static_cast<unsigned>(i);
    const Result<void> told = op.caller().copy_out(
        messages.length_of(at), &messages.heads()[i].msg_len, sizeof messages.heads()->msg_len);
    if (!told.ok()) return i != 0 ? Outcome(i) : Outcome(told);
  }
  return sent;
}

namespace {

// The kernel's answer with the program's path in it. `size` is a value-result argument (socklen_t).
Outcome shown_name(Op& op, long number, int fd, UserBuf out, UserBuf size_out) {
  unsigned room;
  TRY(op.caller().copy_in(&room, size_out.as<const void>(), sizeof room));
  Address address;
  unsigned size = sizeof address.un;
  // What isn't a path is the kernel's to answer, with the program's own buffer.
  if (op.caller().raw(number, fd, reinterpret_cast<long>(&address.un),
                      reinterpret_cast<long>(&size), 0, 0, 0) < 0)
    return Outcome::native();
  if (address.un.sun_family != AF_UNIX || size <= kPathOffset || size > sizeof address.un ||
      address.un.sun_path[0] != '/')
    return Outcome::native();
  const CStr real =
      op.arena().dup(Str(address.un.sun_path, strnlen(address.un.sun_path, size - kPathOffset)));
  const CStr shown = TRY(map_back(op, real));
  if (shown == Str(real) || shown.size() >= sizeof address.un.sun_path) return Outcome::native();
  memcpy(address.un.sun_path, shown.c_str(), shown.size() + 1);
  size = static_cast<unsigned>(kPathOffset + shown.size() + 1);
  TRY(op.caller().copy_out(out, &address.un, size < room ? size : room));
  TRY(op.caller().copy_out(size_out, &size, sizeof size));
  return 0;
}

}  // namespace

Outcome op_getsockname(Op& op, int fd, UserBuf out, UserBuf size) {
  return shown_name(op, SYS_getsockname, fd, out, size);
}

Outcome op_getpeername(Op& op, int fd, UserBuf out, UserBuf size) {
  return shown_name(op, SYS_getpeername, fd, out, size);
}

}  // namespace ovl
