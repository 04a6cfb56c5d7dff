// i386 calls whose arguments are vectors and messages: execve, sockets, socketcall.
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <tuple>

#include "launcher/supervisor/i386_layouts.h"
#include "tests/unit/supervisor/i386_fixture.h"

namespace ovl::testing {
namespace {

using I386Exec = I386Test;

TEST_F(I386Exec, VectorsOfShortPointers) {
  write_file(lower("/script"), "#!/bin/sh\n", 0755);
  begin();
  const std::vector<uint32_t> argv = {static_cast<uint32_t>(low.text("one")),
                                      static_cast<uint32_t>(low.text("two")), 0};
  const std::vector<uint32_t> envp = {static_cast<uint32_t>(low.text("A=b")), 0};
  const long argv_at = low.bytes(argv.data(), argv.size() * 4);
  const long envp_at = low.bytes(envp.data(), envp.size() * 4);
  EXPECT_EQ(call(11, {path_at("/script"), argv_at, envp_at}), 0);
  EXPECT_EQ(task.argv.back(), "two");
  EXPECT_NE(std::find(task.envp.begin(), task.envp.end(), "A=b"), task.envp.end());
  EXPECT_EQ(call(358, {kCwd, path_at("/script"), argv_at, 0, 0}), 0);
  EXPECT_EQ(task.argv.back(), "two");
  EXPECT_EQ(call(11, {path_at("/none"), low.at_the_end(4), 0}), -ENOENT);
  // The vector goes on behind the end of memory.
  memset(reinterpret_cast<void*>(low.at_the_end(4)), 1, 4);
  EXPECT_EQ(call(11, {path_at("/script"), low.at_the_end(4), envp_at}), -EFAULT);
}

// --- sockets ---

class I386Sockets : public I386Test {
 protected:
  long address_of(const std::string& rest, long* size) {
    sockaddr_un un = {};
    un.sun_family = AF_UNIX;
    const std::string text = at(rest);
    memcpy(un.sun_path, text.c_str(), text.size() + 1);
    *size = static_cast<long>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
    return low.value(un);
  }
  long through_socketcall(long number, std::vector<uint32_t> args) {
    return call(102, {number, low.bytes(args.data(), args.size() * 4)});
  }
  i386::Msghdr message(const std::string& rest) {
    long size = 0;
    i386::Msghdr m = {};
    m.msg_name = rest.empty() ? 0 : static_cast<uint32_t>(address_of(rest, &size));
    m.msg_namelen = static_cast<int32_t>(size);
    m.msg_iov = 0x1000;
    m.msg_iovlen = 2;
    m.msg_control = 0x2000;
    m.msg_controllen = 3;
    m.msg_flags = 4;
    return m;
  }
  void expect_converted(const msghdr& m) {
    EXPECT_EQ(m.msg_iov, reinterpret_cast<iovec*>(0x1000));
    EXPECT_EQ(m.msg_iovlen, 2u);
    EXPECT_EQ(m.msg_control, reinterpret_cast<void*>(0x2000));
    EXPECT_EQ(m.msg_controllen, 3u);
    EXPECT_EQ(m.msg_flags, 4);
  }
};

TEST_F(I386Sockets, BindConnectAndNamesBothWays) {
  begin();
  for (const bool direct : {true, false}) {
    const std::string name = direct ? "/a" : "/b";
    const int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    long size;
    const long address = address_of(name, &size);
    const auto make = [&](long number, long sub, std::vector<uint32_t> args) {
      return direct ? call(number, std::vector<long>(args.begin(), args.end()))
                    : through_socketcall(sub, args);
    };
    const auto a = static_cast<uint32_t>(address), n = static_cast<uint32_t>(size);
    EXPECT_EQ(make(361, 2, {uint32_t(server), a, n}), 0);
    EXPECT_TRUE(S_ISSOCK(
        std::filesystem::status(upper(name)).type() == std::filesystem::file_type::socket ? S_IFSOCK
                                                                                          : 0));
    ASSERT_EQ(listen(server, 1), 0);
    EXPECT_EQ(make(362, 3, {uint32_t(client), a, n}), 0);
    for (const auto& [number, sub, fd] :
         {std::tuple(367L, 6L, server), std::tuple(368L, 7L, client)}) {
      const auto out = static_cast<uint32_t>(low.room(128, 0)),
                 out_size = static_cast<uint32_t>(low.value(uint32_t{128}));
      EXPECT_EQ(make(number, sub, {uint32_t(fd), out, out_size}), 0);
      EXPECT_EQ(low.bytes_at(out + 2, at(name).size()), at(name));
      EXPECT_EQ(low.at<uint32_t>(out_size), n);
    }
    close(server);
    close(client);
  }
}

TEST_F(I386Sockets, SocketcallOfOthersIsNative) {
  begin();
  EXPECT_EQ(through_socketcall(1, {AF_UNIX, SOCK_STREAM, 0}), kNative);
  EXPECT_EQ(call(102, {99, 0}), kNative);
  EXPECT_EQ(call(102, {3, low.at_the_end(8)}), -EFAULT);
  EXPECT_EQ(call(102, {3, 0}), -EFAULT);
}

TEST_F(I386Sockets, AMessageKeepsWhatItPointsAt) {
  begin();
  const int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
  long size;
  const long address = address_of("/r", &size);
  ASSERT_EQ(call(361, {receiver, address, size}), 0);
  task.answer = 7;
  EXPECT_EQ(call(370, {3, low.value(message("/r")), 0}), 7);
  ASSERT_EQ(task.messages.size(), 1u);
  expect_converted(task.messages[0]);
  EXPECT_EQ(task.addresses[0].c_str(), upper("/r"));
  EXPECT_EQ(through_socketcall(16, {3, uint32_t(low.value(message("/r"))), 0}), 7);
  EXPECT_EQ(call(370, {3, low.value(message("")), 0}), kNative);
  EXPECT_EQ(call(370, {3, low.at_the_end(16), 0}), -EFAULT);
  EXPECT_EQ(call(370, {3, low.value(message("/none")), 0}), -ENOENT);
  EXPECT_EQ(call(369, {3, 0x1000, 5, 0, 0, 0}), kNative);
  close(receiver);
}

TEST_F(I386Sockets, ManyMessagesTellTheirLengths) {
  begin();
  const int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
  long size;
  const long address = address_of("/r", &size);
  ASSERT_EQ(call(361, {receiver, address, size}), 0);
  const i386::Mmsghdr many[] = {{message("")}, {message("/r")}, {message("/r")}, {message("/no")}};
  const long at = low.bytes(many, sizeof many);
  task.answer = 3;
  EXPECT_EQ(call(345, {3, at, 4, 0}), 3);
  ASSERT_EQ(task.messages.size(), 3u);
  EXPECT_EQ(task.addresses[0], "");
  for (long i = 0; i < 3; i++) {
    expect_converted(task.messages[static_cast<size_t>(i)]);
    EXPECT_EQ(low.at<i386::Mmsghdr>(at + i * 32).msg_len, 100u + static_cast<unsigned>(i));
  }
  EXPECT_EQ(low.at<i386::Mmsghdr>(at + 96).msg_len, 0u);
  EXPECT_EQ(call(345, {3, at + 96, 1, 0}), -ENOENT);
  EXPECT_EQ(call(345, {3, at, 1, 0}), kNative);
  EXPECT_EQ(through_socketcall(20, {3, uint32_t(at), 4, 0}), 3);
  // The kernel comes upon what can't be read by itself.
  EXPECT_EQ(call(345, {3, low.at_the_end(16), 2, 0}), kNative);
  close(receiver);
}

}  // namespace
}  // namespace ovl::testing
