// Locks: everybody who has a file open meets the same ones, whatever layer it was opened in.
#include <sys/file.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

using Lock = Tree;

struct flock whole(short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

int set(int fd, short type, int command = F_SETLK) {
  struct flock lock = whole(type);
  return t_fcntl(fd, command, &lock);
}

// What is in the way of a lock of this type, as this process is told.
short in_the_way(int fd, short type, int command = F_GETLK) {
  struct flock lock = whole(type);
  return t_fcntl(fd, command, &lock) == 0 ? lock.l_type : short{-1};
}

TEST_F(Lock, FlockBeforeAndAfterAChange) {
  Fd before(t_open("file", O_RDONLY));
  ASSERT_OK(t_flock(before, LOCK_EX));
  Fd writer(t_open("file", O_RDWR)), reader(t_open("file", O_RDONLY));
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(writer, LOCK_EX | LOCK_NB));
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(reader, LOCK_SH | LOCK_NB));
  ASSERT_OK(t_flock(before, LOCK_UN));
  EXPECT_OK(t_flock(writer, LOCK_EX | LOCK_NB));
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(before, LOCK_SH | LOCK_NB));
}

TEST_F(Lock, FlockOfWhatWasOpenedBeforeItWasChanged) {
  Fd before(t_open("file", O_RDONLY)), writer(t_open("file", O_RDWR));
  ASSERT_OK(t_flock(writer, LOCK_EX));
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(before, LOCK_SH | LOCK_NB));
}

TEST_F(Lock, FlockIsSharedByDuplicates) {
  Fd fd(t_open("file", O_RDONLY)), twin(dup(fd)), other(t_open("file", O_RDONLY));
  ASSERT_OK(t_flock(fd, LOCK_EX));
  EXPECT_OK(t_flock(twin, LOCK_EX | LOCK_NB));
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(other, LOCK_EX | LOCK_NB));
  ASSERT_OK(t_flock(twin, LOCK_UN));
  EXPECT_OK(t_flock(other, LOCK_EX | LOCK_NB));
}

// As a shell that opens a script, and lets flock(1) lock it.
TEST_F(Lock, FlockByAChildStaysWithTheParentsOpenFile) {
  for (const char* name : {"file", "dir"}) {
    Fd fd(t_open(name, O_RDONLY));
    ASSERT_EQ(0, in_child([&] { return t_flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1; }));
    Fd second(t_open(name, O_RDONLY));
    EXPECT_ERRNO(EWOULDBLOCK, t_flock(second, LOCK_EX | LOCK_NB));
    EXPECT_ERRNO(EWOULDBLOCK, t_flock(second, LOCK_SH | LOCK_NB));
    EXPECT_EQ(0, in_child([&] {
                return t_flock(second, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK ? 0 : 1;
              }));
    ASSERT_OK(t_flock(fd, LOCK_UN));
    EXPECT_OK(t_flock(second, LOCK_EX | LOCK_NB));
  }
}

TEST_F(Lock, FlockByAChildIsMetByThoseWhoShareIt) {
  Fd other(t_open("file", O_RDONLY)), third(t_open("file", O_RDONLY));
  {
    Fd shared(t_open("file", O_RDONLY));
    ASSERT_EQ(0, in_child([&] { return t_flock(shared, LOCK_SH) == 0 ? 0 : 1; }));
    ASSERT_OK(t_flock(other, LOCK_SH | LOCK_NB));
    EXPECT_ERRNO(EWOULDBLOCK, t_flock(third, LOCK_EX | LOCK_NB));
  }
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(third, LOCK_EX | LOCK_NB));
  ASSERT_OK(t_flock(other, LOCK_UN));
  EXPECT_OK(t_flock(third, LOCK_EX | LOCK_NB));
}

TEST_F(Lock, FlockOfADirectory) {
  Fd before(t_open("dir", O_RDONLY | O_DIRECTORY)), twin(dup(before));
  ASSERT_OK(t_flock(before, LOCK_EX));
  write_file("dir/new", "new");
  Fd after(t_open("dir", O_RDONLY | O_DIRECTORY));
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(after, LOCK_EX | LOCK_NB));
  EXPECT_OK(t_flock(twin, LOCK_EX | LOCK_NB));
  EXPECT_EQ(0, in_child([] {
              Fd fd(t_open("dir", O_RDONLY));
              return t_flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK ? 0 : 1;
            }));
  ASSERT_OK(t_flock(before, LOCK_UN));
  EXPECT_OK(t_flock(after, LOCK_EX | LOCK_NB));
  EXPECT_EQ(stat_of("dir").st_ino, fstat_of(before).st_ino);
}

TEST_F(Lock, RecordLocksMeetThoseOfOtherProcesses) {
  Fd reader(t_open("file", O_RDONLY));
  ASSERT_OK(set(reader, F_RDLCK));
  EXPECT_EQ(0, in_child([&] {
              Fd writer(t_open("file", O_RDWR));
              if (in_the_way(writer, F_WRLCK) != F_RDLCK) return 1;
              if (set(writer, F_WRLCK) != -1 || (errno != EAGAIN && errno != EACCES)) return 2;
              return set(writer, F_RDLCK) == 0 ? 0 : 3;
            }));
  EXPECT_EQ(F_UNLCK, in_the_way(reader, F_RDLCK));
  ASSERT_OK(set(reader, F_UNLCK));
  EXPECT_EQ(0, in_child([&] {
              Fd writer(t_open("file", O_RDWR));
              return set(writer, F_WRLCK) == 0 ? 0 : 1;
            }));
}

TEST_F(Lock, RecordLocksAreToldByDescriptorsOfBefore) {
  Fd before(t_open("file", O_RDONLY));
  int go[2], done[2];
  ASSERT_EQ(0, pipe(go));
  ASSERT_EQ(0, pipe(done));
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    Fd writer(t_open("file", O_RDWR));
    char c;
    if (set(writer, F_WRLCK) != 0 || write(go[1], "x", 1) != 1) _exit(1);
    close(done[1]);
    _exit(read(done[0], &c, 1) == 0 ? 0 : 2);
  }
  char c;
  ASSERT_EQ(1, read(go[0], &c, 1));
  EXPECT_EQ(F_WRLCK, in_the_way(before, F_RDLCK));
  EXPECT_ERRNO(EAGAIN, set(before, F_RDLCK));
  close(done[1]);
  EXPECT_OK(set(before, F_RDLCK, F_SETLKW));
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  for (int end : {go[0], go[1], done[0]}) close(end);
}

TEST_F(Lock, OfOpenFiles) {
  Fd before(t_open("file", O_RDONLY));
  ASSERT_OK(set(before, F_RDLCK, F_OFD_SETLK));
  Fd writer(t_open("file", O_RDWR));
  EXPECT_ERRNO(EAGAIN, set(writer, F_WRLCK, F_OFD_SETLK));
  EXPECT_EQ(F_RDLCK, in_the_way(writer, F_WRLCK, F_OFD_GETLK));
  ASSERT_OK(set(before, F_UNLCK, F_OFD_SETLK));
  EXPECT_OK(set(writer, F_WRLCK, F_OFD_SETLKW));
}

TEST_F(Lock, OfARemovedFile) {
  Fd first(t_open("file", O_RDONLY)), second(t_open("file", O_RDONLY));
  ASSERT_OK(t_unlink("file"));
  ASSERT_OK(t_flock(first, LOCK_EX));
  EXPECT_ERRNO(EWOULDBLOCK, t_flock(second, LOCK_EX | LOCK_NB));
}

TEST_F(Lock, PositionsAndFlagsStay) {
  Fd fd(t_open("file", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char bytes[3];
  ASSERT_EQ(3, read(fd, bytes, 3));
  const int flags = fcntl(fd, F_GETFL);
  ASSERT_OK(t_flock(fd, LOCK_SH));
  EXPECT_EQ(3, lseek(fd, 0, SEEK_CUR));
  EXPECT_EQ(flags, fcntl(fd, F_GETFL));
  EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
}

TEST_F(Lock, Refuses) {
  EXPECT_ERRNO(EBADF, t_flock(-1, LOCK_EX));
  EXPECT_ERRNO(EBADF, set(-1, F_RDLCK));
  Fd fd(t_open("file", O_RDONLY)), path(t_open("file", O_PATH));
  EXPECT_ERRNO(EINVAL, t_flock(fd, 0));
  EXPECT_ERRNO(EBADF, t_flock(path, LOCK_EX));
  EXPECT_ERRNO(EBADF, set(path, F_RDLCK));
  EXPECT_ERRNO(EBADF, set(fd, F_WRLCK));
  EXPECT_ERRNO(EFAULT, t_fcntl(fd, F_SETLK, nullptr));
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  EXPECT_OK(t_flock(ends[0], LOCK_EX));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace syscalls
