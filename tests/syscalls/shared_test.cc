// Open files that several processes have (after fork, or through a socket), while the file is
// changed: their position, flags and locks stay one.
#include <sys/file.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

using Shared = Tree;

void change() {
  Fd fd(t_open("file", O_RDWR));
  EXPECT_EQ(5, pwrite(fd, "HELLO", 5, 0));
}

// Programs without the preload notice a change at a call like this.
void notice() { (void)stat_of("."); }

off_t position(int fd) {
  notice();
  return lseek(fd, 0, SEEK_CUR);
}

std::string read_some(int fd, size_t size) {
  char buffer[64];
  notice();
  const ssize_t n = read(fd, buffer, size);
  return n < 0 ? strerror(errno) : std::string(buffer, static_cast<size_t>(n));
}

int flags(int fd) {
  notice();
  return fcntl(fd, F_GETFL);
}

// A process of its own, and not the child of this one, changes the file.
void change_elsewhere() {
  ASSERT_EQ(0, in_child([] {
              return in_child([] {
                change();
                return 0;
              });
            }));
}

TEST_F(Shared, PositionAfterAChangeByAnother) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_EQ("hel", read_some(fd, 3));
  change_elsewhere();
  EXPECT_EQ(0, in_child([&] { return read_some(fd, 2) == "LO" ? 0 : 1; }));
  EXPECT_EQ(5, position(fd));
  EXPECT_EQ(0, in_child([&] { return read_some(fd, 1) == " " ? 0 : 1; }));
  EXPECT_EQ("low", read_some(fd, 3));
  EXPECT_EQ(0, in_child([&] { return position(fd) == 9 ? 0 : 1; }));
}

TEST_F(Shared, PositionAfterAChangeByTheChild) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_EQ("hel", read_some(fd, 3));
  EXPECT_EQ(0, in_child([&] {
              change();
              return read_some(fd, 2) == "LO" ? 0 : 1;
            }));
  EXPECT_EQ(" lower\n", read_some(fd, 64));
}

TEST_F(Shared, PositionAfterAChangeByTheParent) {
  Fd fd(t_open("file", O_RDONLY));
  EXPECT_EQ(0, in_child([&] { return read_some(fd, 3) == "hel" ? 0 : 1; }));
  change();
  EXPECT_EQ("LO", read_some(fd, 2));
  EXPECT_EQ(0, in_child([&] { return read_some(fd, 7) == " lower\n" ? 0 : 1; }));
  EXPECT_EQ(12, position(fd));
}

TEST_F(Shared, WhatWasReadBeforeOneOfThemFollowedIsNotReadAgain) {
  Fd fd(t_open("file", O_RDONLY));
  int go[2], done[2];
  ASSERT_EQ(0, pipe(go));
  ASSERT_EQ(0, pipe(done));
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    char c;
    if (read(go[0], &c, 1) != 1 || read_some(fd, 2) != "LO" || write(done[1], "x", 1) != 1)
      _exit(1);
    if (read(go[0], &c, 1) != 1 || read_some(fd, 2) != "lo") _exit(2);
    _exit(position(fd) == 8 ? 0 : 3);
  }
  ASSERT_EQ("hel", read_some(fd, 3));
  change();
  char c;
  ASSERT_EQ(1, write(go[1], "x", 1));
  ASSERT_EQ(1, read(done[0], &c, 1));
  EXPECT_EQ(" ", read_some(fd, 1));
  ASSERT_EQ(1, write(go[1], "x", 1));
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status >> 8);
  EXPECT_EQ("wer\n", read_some(fd, 64));
  for (int end : {go[0], go[1], done[0], done[1]}) close(end);
}

TEST_F(Shared, OneSeeksTheOtherReads) {
  Fd fd(t_open("file", O_RDONLY));
  change_elsewhere();
  EXPECT_EQ(0, in_child([&] {
              notice();
              return lseek(fd, 6, SEEK_SET) == 6 ? 0 : 1;
            }));
  EXPECT_EQ("lower\n", read_some(fd, 64));
}

TEST_F(Shared, DuplicatesOfBoth) {
  Fd fd(t_open("file", O_RDONLY)), twin(dup(fd));
  change_elsewhere();
  EXPECT_EQ(0, in_child([&] {
              Fd third(dup(twin));
              return read_some(third, 3) == "HEL" && position(fd) == 3 ? 0 : 1;
            }));
  EXPECT_EQ("LO", read_some(twin, 2));
  EXPECT_EQ(5, position(fd));
}

TEST_F(Shared, Flags) {
  Fd fd(t_open("file", O_RDONLY));
  const int before = flags(fd);
  change_elsewhere();
  EXPECT_EQ(0, in_child([&] {
              return fcntl(fd, F_SETFL, flags(fd) | O_APPEND | O_NONBLOCK) == 0 ? 0 : 1;
            }));
  EXPECT_EQ(before | O_APPEND | O_NONBLOCK, flags(fd));
  ASSERT_EQ(0, fcntl(fd, F_SETFL, before));
  EXPECT_EQ(0, in_child([&] { return flags(fd) == before ? 0 : 1; }));
}

TEST_F(Shared, FilesThatWereOpenedEachForItselfStayApart) {
  Fd fd(t_open("file", O_RDONLY)), other(t_open("file", O_RDONLY));
  change_elsewhere();
  EXPECT_EQ(0, in_child([&] {
              Fd own(t_open("file", O_RDONLY));
              return read_some(own, 2) == "HE" && read_some(other, 4) == "HELL" ? 0 : 1;
            }));
  EXPECT_EQ(0, position(fd));
  EXPECT_EQ(4, position(other));
}

TEST_F(Shared, ThroughASocketBySenderAndReceiver) {
  int ends[2];
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
  const auto wait = [&](int end) {
    char c;
    return read(end, &c, 1) == 1;
  };
  const auto tell = [&](int end) { return write(end, "x", 1) == 1; };
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  char byte = 'x';
  iovec data = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (recvmsg(ends[1], &message, 0) != 1) _exit(1);
    int fd = -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    if (!tell(ends[1]) || !wait(ends[1])) _exit(2);
    _exit(read_some(fd, 2) == "LL" ? 0 : 3);
  }
  Fd fd(t_open("file", O_RDONLY));
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = fd;
  memcpy(CMSG_DATA(head), &number, sizeof number);
  ASSERT_EQ(1, sendmsg(ends[0], &message, 0));
  ASSERT_TRUE(wait(ends[0]));
  change_elsewhere();
  EXPECT_EQ("HE", read_some(fd, 2));
  ASSERT_TRUE(tell(ends[0]));
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status >> 8);
  EXPECT_EQ(4, position(fd));
  close(ends[0]);
  close(ends[1]);
}

bool refused(int fd, int how) { return t_flock(fd, how | LOCK_NB) == -1 && errno == EWOULDBLOCK; }

TEST_F(Shared, FlockByAChildIsMetByWhoOpensItToWrite) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_EQ(0, in_child([&] { return t_flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1; }));
  Fd writer(t_open("file", O_RDWR));
  EXPECT_TRUE(refused(writer, LOCK_EX));
  change_elsewhere();
  EXPECT_TRUE(refused(writer, LOCK_SH));
  EXPECT_OK(t_flock(fd, LOCK_EX | LOCK_NB));
  ASSERT_EQ(0, in_child([&] { return t_flock(fd, LOCK_UN) == 0 ? 0 : 1; }));
  EXPECT_OK(t_flock(writer, LOCK_EX | LOCK_NB));
}

TEST_F(Shared, FlockStaysWhileSomebodyHasTheFile) {
  Fd writer(t_open("file", O_RDWR));
  {
    Fd fd(t_open("dir/a", O_RDONLY));
    ASSERT_EQ(0, in_child([&] { return t_flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1; }));
    Fd other(t_open("dir/a", O_RDWR));
    EXPECT_TRUE(refused(other, LOCK_EX));
    EXPECT_OK(t_flock(writer, LOCK_EX | LOCK_NB));
  }
  Fd other(t_open("dir/a", O_RDWR));
  EXPECT_OK(t_flock(other, LOCK_EX | LOCK_NB));
}

TEST_F(Shared, FlockOfADirectoryStaysWhileSomebodyHasIt) {
  {
    Fd fd(t_open("dir", O_RDONLY | O_DIRECTORY));
    ASSERT_EQ(0, in_child([&] { return t_flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1; }));
    write_file("dir/new", "new");
    Fd other(t_open("dir", O_RDONLY | O_DIRECTORY));
    EXPECT_TRUE(refused(other, LOCK_SH));
  }
  Fd other(t_open("dir", O_RDONLY | O_DIRECTORY));
  EXPECT_OK(t_flock(other, LOCK_SH | LOCK_NB));
}

TEST_F(Shared, FlockGoesWithWhoWasKilled) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    Fd fd(t_open("file", O_RDONLY));
    if (in_child([&] { return t_flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1; }) != 0) _exit(1);
    if (write(ends[1], "x", 1) != 1) _exit(2);
    for (;;) pause();
  }
  char c;
  ASSERT_EQ(1, read(ends[0], &c, 1));
  Fd fd(t_open("file", O_RDONLY));
  EXPECT_TRUE(refused(fd, LOCK_SH));
  kill(child, SIGKILL);
  ASSERT_EQ(child, waitpid(child, nullptr, 0));
  EXPECT_OK(t_flock(fd, LOCK_EX | LOCK_NB));
  close(ends[0]);
  close(ends[1]);
}

TEST_F(Shared, WhoWaitsForALockGetsItWhenTheFileIsClosed) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  auto fd = std::make_unique<Fd>(t_open("file", O_RDONLY));
  ASSERT_EQ(0, in_child([&] { return t_flock(*fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1; }));
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    fd.reset();
    Fd own(t_open("file", O_RDONLY));
    if (!refused(own, LOCK_EX) || write(ends[1], "x", 1) != 1) _exit(1);
    _exit(t_flock(own, LOCK_EX) == 0 ? 0 : 2);
  }
  char c;
  ASSERT_EQ(1, read(ends[0], &c, 1));
  fd.reset();
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status >> 8);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(Shared, LocksOfOpenFiles) {
  struct flock lock = {};
  lock.l_type = F_RDLCK;
  {
    Fd fd(t_open("file", O_RDONLY));
    ASSERT_EQ(0, in_child([&] { return t_fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : 1; }));
    Fd other(t_open("file", O_RDWR));
    lock.l_type = F_WRLCK;
    EXPECT_ERRNO(EAGAIN, t_fcntl(other, F_OFD_SETLK, &lock));
  }
  Fd other(t_open("file", O_RDWR));
  EXPECT_OK(t_fcntl(other, F_OFD_SETLK, &lock));
}

}  // namespace
}  // namespace syscalls
