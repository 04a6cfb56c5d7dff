// See i386_fixture.h.
#include "tests/unit/supervisor/i386_fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace ovl::testing {

Low::Low()
    : data_(static_cast<char*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0))) {
  EXPECT_NE(static_cast<void*>(data_), MAP_FAILED);
  EXPECT_EQ(mprotect(data_ + kSize - 4096, 4096, PROT_NONE), 0);
}
Low::~Low() { munmap(data_, kSize); }

long Low::room(size_t size, unsigned char fill) {
  char* at = data_ + used_;
  used_ += (size + 15) & ~size_t{15};
  EXPECT_LT(used_, kSize - 8192);
  memset(at, fill, size);
  return reinterpret_cast<long>(at);
}
long Low::bytes(const void* data, size_t size) {
  const long at = room(size);
  memcpy(reinterpret_cast<void*>(at), data, size);
  return at;
}
long Low::at_the_end(size_t size) const {
  return reinterpret_cast<long>(data_ + kSize - 4096 - size);
}

Result<void> I386Caller::copy_in(void* to, UserPtr<const void> from, size_t size) {
  iovec here = {to, size}, there = {reinterpret_cast<void*>(from.address()), size};
  if (size == 0) return {};
  const ssize_t n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
  return n == static_cast<ssize_t>(size) ? Result<void>() : Error(EFAULT);
}
Result<void> I386Caller::copy_out(UserBuf to, const void* from, size_t size) {
  iovec here = {const_cast<void*>(from), size},
        there = {reinterpret_cast<void*>(to.address()), size};
  if (size == 0) return {};
  const ssize_t n = process_vm_writev(getpid(), &here, 1, &there, 1, 0);
  return n == static_cast<ssize_t>(size) ? Result<void>() : Error(EFAULT);
}
Result<CStr> I386Caller::copy_in_string(Arena& arena, UserPath text, size_t limit) {
  std::string value;
  for (char c = 1; value.size() < limit; value += c) {
    TRY(copy_in(&c, UserPtr<const void>(text.address() + value.size()), 1));
    if (c == 0) return arena.dup(Str(value.data(), value.size()));
  }
  return Error(E2BIG);
}
Result<CStr> I386Caller::copy_in_path(Arena& arena, UserPath path) {
  Result<CStr> text = copy_in_string(arena, path, PATH_MAX);
  if (!text.ok() && text.error() == E2BIG) return Error(ENAMETOOLONG);
  return text;
}

Outcome I386Caller::give_fd(UniqueFd fd, int flags) {
  lease = fcntl(fd.get(), F_SETLEASE, F_WRLCK) == 0 ? 0 : errno;
  fcntl(fd.get(), F_SETLEASE, F_UNLCK);
  return LocalCaller::give_fd(std::move(fd), flags);
}

Outcome I386Caller::execute(const ExecRequest& request) {
  argv.clear();
  envp.clear();
  for (char* const* p = request.argv; *p != nullptr; p++) argv.emplace_back(*p);
  for (char* const* p = request.envp; *p != nullptr; p++) envp.emplace_back(*p);
  return 0;
}

long I386Caller::raw(long number, long a0, long a1, long a2, long a3, long a4, long a5) {
  if (number != SYS_sendmsg && number != SYS_sendmmsg)
    return LocalCaller::raw(number, a0, a1, a2, a3, a4, a5);
  messages.clear();
  addresses.clear();
  const long count = number == SYS_sendmmsg ? a2 : 1;
  for (long i = 0; i < count; i++) {
    auto* many = reinterpret_cast<mmsghdr*>(a1) + i;
    if (number == SYS_sendmmsg) many->msg_len = static_cast<unsigned>(100 + i);
    messages.push_back(number == SYS_sendmmsg ? many->msg_hdr : *reinterpret_cast<msghdr*>(a1));
    const msghdr& m = messages.back();
    addresses.push_back(m.msg_name == nullptr
                            ? ""
                            : std::string(static_cast<char*>(m.msg_name) + 2, m.msg_namelen - 2));
  }
  return answer;
}

}  // namespace ovl::testing
