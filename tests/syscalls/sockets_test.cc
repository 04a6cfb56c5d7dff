// Unix sockets: names in the tree.
#include <stddef.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

class Socket : public Tree {
 public:
  struct Address {
    sockaddr_un un = {};
    socklen_t size = 0;
    explicit Address(const std::string& path) {
      un.sun_family = AF_UNIX;
      memcpy(un.sun_path, path.data(), std::min(path.size(), sizeof un.sun_path));
      size = socklen_t(offsetof(sockaddr_un, sun_path) +
                       std::min(path.size() + 1, sizeof un.sun_path));
    }
    const sockaddr* operator()() const { return reinterpret_cast<const sockaddr*>(&un); }
  };

 protected:
  static int listener(const std::string& path) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    Address address(path);
    EXPECT_OK(t_bind(fd, address(), address.size)) << path;
    EXPECT_EQ(0, listen(fd, 5)) << path;
    return fd;
  }
  static int connect_to(int fd, const std::string& path) {
    Address address(path);
    return t_connect(fd, address(), address.size);
  }
  static std::string name_of(int fd, bool peer) {
    sockaddr_un un = {};
    socklen_t size = sizeof un;
    auto* address = reinterpret_cast<sockaddr*>(&un);
    EXPECT_OK(peer ? t_getpeername(fd, address, &size) : t_getsockname(fd, address, &size));
    EXPECT_EQ(offsetof(sockaddr_un, sun_path) + strlen(un.sun_path) + 1, size);
    return un.sun_path;
  }
};

TEST_F(Socket, BindMakesAName) {
  Fd server(listener("dir/made"));
  EXPECT_EQ(mode_t(S_IFSOCK | 0755), stat_of("dir/made").st_mode);
  EXPECT_TRUE(names_in("dir").contains("made"));
}

TEST_F(Socket, ItsNameIsTheOneItWasGiven) {
  Fd server(listener("dir/made")), client(socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_EQ("dir/made", name_of(server, false));
  ASSERT_OK(connect_to(client, "./dirlink/made"));
  EXPECT_EQ("dir/made", name_of(client, true));
}

TEST_F(Socket, AnAbsoluteNameIsTheOneItWasGiven) {
  const std::string path = cwd() + "/made";
  ASSERT_LT(path.size(), sizeof(sockaddr_un::sun_path)) << "the tests stand too deep";
  Fd server(listener(path)), client(socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_EQ(path, name_of(server, false));
  ASSERT_OK(connect_to(client, "made"));
  EXPECT_EQ(path, name_of(client, true));
}

TEST_F(Socket, Connects) {
  Fd server(listener("dir/made"));
  Fd client(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_OK(connect_to(client, "./dirlink/made"));
  Fd accepted(accept(server, nullptr, nullptr));
  EXPECT_EQ(5, write(client, "hello", 5));
  char buffer[8] = {};
  EXPECT_EQ(5, read(accepted, buffer, sizeof buffer));
  EXPECT_STREQ("hello", buffer);
}

TEST_F(Socket, ByAbsoluteAndLongPaths) {
  ASSERT_OK(t_chdir("dir"));
  Fd server(listener("relative"));
  const std::string absolute = cwd() + "/relative";
  EXPECT_OK(connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), absolute));
  ASSERT_OK(t_mkdir(kLongName.c_str(), 0755));  // sun_path could not hold where this is
  ASSERT_OK(t_chdir(kLongName.c_str()));
  Fd deep(listener("deep"));
  EXPECT_OK(connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), "deep"));
  EXPECT_OK(connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), "../relative"));
}

TEST_F(Socket, ANameOfFullLength) {
  std::string path = std::string(sizeof(sockaddr_un::sun_path) - 1, 'p');
  Fd server(listener(path));
  EXPECT_TRUE(exists(path));
  EXPECT_OK(connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), path));
  std::string full(sizeof(sockaddr_un::sun_path), 'q');  // without its NUL
  Fd second(socket(AF_UNIX, SOCK_STREAM, 0));
  Address address(full);
  ASSERT_OK(t_bind(second, address(), address.size));
  EXPECT_TRUE(exists(full));
}

TEST_F(Socket, InPlaceOfARemovedFile) {
  ASSERT_OK(t_unlink("dir/a"));
  Fd server(listener("dir/a"));
  EXPECT_TRUE(S_ISSOCK(stat_of("dir/a").st_mode));
  EXPECT_OK(connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), "rel"));  // a symlink to it
  ASSERT_OK(t_unlink("dir/a"));
  EXPECT_ERRNO(ENOENT, connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), "dir/a"));
}

TEST_F(Socket, SurvivesARename) {
  Fd server(listener("dir/made"));
  ASSERT_OK(t_rename("dir", "moved"));
  EXPECT_OK(connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), "moved/made"));
  ASSERT_OK(t_rename("moved/made", "elsewhere"));
  EXPECT_OK(connect_to(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), "elsewhere"));
}

TEST_F(Socket, Datagrams) {
  Fd receiver(socket(AF_UNIX, SOCK_DGRAM, 0)), sender(socket(AF_UNIX, SOCK_DGRAM, 0));
  Address to("dir/receiver"), from("dir/sender");
  ASSERT_OK(t_bind(receiver, to(), to.size));
  ASSERT_OK(t_bind(sender, from(), from.size));
  EXPECT_EQ(3, t_sendto(sender, "one", 3, 0, to(), to.size));
  iovec data = {const_cast<char*>("two"), 3};
  msghdr message = {};
  message.msg_name = &to.un;
  message.msg_namelen = to.size;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  EXPECT_EQ(3, t_sendmsg(sender, &message, 0));
  char buffer[4] = {};
  sockaddr_un source = {};
  socklen_t size = sizeof source;
  EXPECT_EQ(3, recvfrom(receiver, buffer, 3, 0, reinterpret_cast<sockaddr*>(&source), &size));
  EXPECT_STREQ("one", buffer);
  EXPECT_EQ(3, recv(receiver, buffer, 3, 0));
  EXPECT_STREQ("two", buffer);
  Address nowhere("nothing");
  EXPECT_ERRNO(ENOENT, t_sendto(sender, "x", 1, 0, nowhere(), nowhere.size));
  ASSERT_OK(connect_to(sender, "dir/receiver"));
  EXPECT_EQ(1, t_sendto(sender, "x", 1, 0, nullptr, 0));
}

// Messages for sendmmsg(2), each of one byte and with an address of its own.
class ManyMessages {
 public:
  void add(const std::string& path) {
    addresses_.push_back(std::make_unique<Socket::Address>(path));
    mmsghdr message = {};
    message.msg_hdr.msg_name = &addresses_.back()->un;
    message.msg_hdr.msg_namelen = addresses_.back()->size;
    message.msg_hdr.msg_iov = &part_;
    message.msg_hdr.msg_iovlen = 1;
    messages_.push_back(message);
  }
  int send(int fd) {
    return t_sendmmsg(fd, messages_.data(), static_cast<unsigned>(messages_.size()), 0);
  }
  mmsghdr& operator[](size_t i) { return messages_[i]; }

 private:
  std::vector<std::unique_ptr<Socket::Address>> addresses_;
  std::vector<mmsghdr> messages_;
  iovec part_ = {const_cast<char*>("x"), 1};
};

TEST_F(Socket, ManyMessagesGoEachToTheirOwnName) {
  Fd first(socket(AF_UNIX, SOCK_DGRAM, 0)), second(socket(AF_UNIX, SOCK_DGRAM, 0)),
      sender(socket(AF_UNIX, SOCK_DGRAM, 0));
  Address a("dir/first"), b("second");
  ASSERT_OK(t_bind(first, a(), a.size));
  ASSERT_OK(t_bind(second, b(), b.size));
  ManyMessages messages;
  for (const char* path : {"dir/first", "./dirlink/first", "second"}) messages.add(path);
  ASSERT_EQ(3, messages.send(sender));
  for (size_t i = 0; i < 3; i++) EXPECT_EQ(1u, messages[i].msg_len) << i;
  char byte;
  EXPECT_EQ(1, recv(first, &byte, 1, MSG_DONTWAIT));
  EXPECT_EQ(1, recv(first, &byte, 1, MSG_DONTWAIT));
  EXPECT_EQ(1, recv(second, &byte, 1, MSG_DONTWAIT));
  // Also in a row with messages that have no name, or one that is no path.
  ASSERT_OK(connect_to(sender, "second"));
  messages[0].msg_hdr.msg_name = nullptr;
  messages[1].msg_hdr.msg_namelen = 0;
  ASSERT_EQ(3, messages.send(sender));
  for (int i = 0; i < 3; i++) EXPECT_EQ(1, recv(second, &byte, 1, MSG_DONTWAIT)) << i;
}

TEST_F(Socket, ManyMessagesEndAtTheFirstThatFails) {
  Fd receiver(socket(AF_UNIX, SOCK_DGRAM, 0)), sender(socket(AF_UNIX, SOCK_DGRAM, 0));
  Address to("dir/receiver");
  ASSERT_OK(t_bind(receiver, to(), to.size));
  ManyMessages messages;
  for (const char* path : {"dir/receiver", "nothing", "dir/receiver"}) messages.add(path);
  EXPECT_EQ(1, messages.send(sender));
  EXPECT_EQ(0u, messages[1].msg_len);
  EXPECT_ERRNO(ENOENT, t_sendmmsg(sender, &messages[1], 2, 0));
  EXPECT_EQ(0, t_sendmmsg(sender, &messages[0], 0, 0));
  if (!kLibcCalls) {  // the preload may read a wild pointer, as libc may
    messages[1].msg_hdr.msg_name = reinterpret_cast<void*>(8);
    EXPECT_EQ(1, messages.send(sender));
  }
  messages[1].msg_hdr.msg_namelen = static_cast<socklen_t>(-1);
  EXPECT_EQ(1, messages.send(sender));
  EXPECT_ERRNO(EINVAL, t_sendmmsg(sender, &messages[1], 2, 0));
  EXPECT_ERRNO(EBADF, messages.send(-1));
}

TEST_F(Socket, Refuses) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  for (const char* path : {"file", "dir", "socket", "dangling", "fifo"}) {
    Address address(path);
    EXPECT_ERRNO(EADDRINUSE, t_bind(fd, address(), address.size)) << path;
  }
  Address absent("nothing/x"), below_file("file/x");
  EXPECT_ERRNO(ENOENT, t_bind(fd, absent(), absent.size));
  EXPECT_ERRNO(ENOTDIR, t_bind(fd, below_file(), below_file.size));
  EXPECT_ERRNO(ECONNREFUSED, connect_to(fd, "socket"));  // nobody listens
  EXPECT_ERRNO(ECONNREFUSED, connect_to(fd, "file"));
  EXPECT_ERRNO(ENOENT, connect_to(fd, "nothing"));
  EXPECT_ERRNO(ENOTDIR, connect_to(fd, "file/x"));
  EXPECT_ERRNO(EBADF, connect_to(-1, "socket"));
  Fd file(t_open("file", O_RDONLY));
  EXPECT_ERRNO(ENOTSOCK, connect_to(file, "socket"));
  if (geteuid() == 0) return;
  Address closed("dir_ro/x");
  EXPECT_ERRNO(EACCES, t_bind(fd, closed(), closed.size));
}

TEST_F(Socket, AbstractAndUnnamedOnesAreNoPaths) {
  Fd server(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un un = {};
  un.sun_family = AF_UNIX;
  ASSERT_OK(t_bind(server, reinterpret_cast<sockaddr*>(&un),
                   sizeof(sa_family_t)));  // the kernel picks a name
  socklen_t size = sizeof un;
  ASSERT_OK(t_getsockname(server, reinterpret_cast<sockaddr*>(&un), &size));
  EXPECT_EQ('\0', un.sun_path[0]);
  EXPECT_EQ(0, listen(server, 1));
  EXPECT_OK(t_connect(Fd(socket(AF_UNIX, SOCK_STREAM, 0)), reinterpret_cast<sockaddr*>(&un), size));
}

}  // namespace
}  // namespace syscalls
