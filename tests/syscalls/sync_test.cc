// What writes to the disk: which objects take it, and what is refused. That it reaches the upper is
// in tests/launcher/volatile_test.py.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

constexpr unsigned kEveryStep =
    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

TREE_SUITE(Sync);

void sync_in_every_way(int fd) {
  EXPECT_OK(t_fsync(fd));
  EXPECT_OK(t_fdatasync(fd));
  EXPECT_OK(t_sync_file_range(fd, 0, 0, kEveryStep));
}

TEST_F(Sync, AFileThatIsRead) {
  Fd fd(t_open("file", O_RDONLY));
  sync_in_every_way(fd);
  EXPECT_OK(t_syncfs(fd));
}

TEST_F(Sync, AFileThatIsWritten) {
  Fd reading(t_open("file", O_RDONLY)), fd(t_open("file", O_RDWR));
  ASSERT_EQ(5, write(fd, "HELLO", 5));
  sync_in_every_way(fd);
  sync_in_every_way(reading);
  EXPECT_OK(t_syncfs(fd));
  EXPECT_EQ("HELLO", content_of("file").substr(0, 5));
}

TEST_F(Sync, AFileWhoseMetadataWereChanged) {
  Fd fd(t_open("file", O_RDONLY));
  EXPECT_OK(t_fchmod(fd, 0600));
  sync_in_every_way(fd);
}

TEST_F(Sync, ANewFile) {
  Fd fd(t_open("new", O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(1, write(fd, "x", 1));
  sync_in_every_way(fd);
}

TEST_F(Sync, AFileWithoutName) {
  Fd fd(t_open("file", O_RDWR)), lower(t_open("big", O_RDONLY));
  EXPECT_OK(t_unlink("file"));
  EXPECT_OK(t_unlink("big"));
  ASSERT_EQ(1, write(fd, "x", 1));
  sync_in_every_way(fd);
  sync_in_every_way(lower);
}

TEST_F(Sync, ADirectory) {
  Fd fd(t_open("dir", O_RDONLY | O_DIRECTORY));
  sync_in_every_way(fd);
  write_file("dir/new", "x");  // now it is merged
  sync_in_every_way(fd);
  EXPECT_OK(t_syncfs(fd));
  Fd again(t_open("dir", O_RDONLY | O_DIRECTORY));
  sync_in_every_way(again);
}

TEST_F(Sync, ADirectoryThatWasRenamed) {
  Fd fd(t_open("dir", O_RDONLY | O_DIRECTORY));
  EXPECT_OK(t_rename("dir", "moved"));
  write_file("moved/new", "x");
  sync_in_every_way(fd);
}

TEST_F(Sync, ADirectoryThatWasRemoved) {
  EXPECT_OK(t_mkdir("gone", 0700));
  Fd fd(t_open("gone", O_RDONLY | O_DIRECTORY));
  EXPECT_OK(t_rmdir("gone"));
  EXPECT_OK(t_fsync(fd));
}

TEST_F(Sync, WhatHasNoDataIsInvalid) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  Fd out(ends[0]), in(ends[1]), socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  Fd fifo(t_open("fifo", O_RDWR)), null(t_open("/dev/null", O_WRONLY));
  for (int fd : {int(in), int(socket), int(fifo), int(null)}) {
    EXPECT_ERRNO(EINVAL, t_fsync(fd));
    EXPECT_ERRNO(EINVAL, t_fdatasync(fd));
    EXPECT_ERRNO(ESPIPE, t_sync_file_range(fd, 0, 0, kEveryStep));
  }
  EXPECT_OK(t_syncfs(fifo));
}

TEST_F(Sync, ADescriptorOfAPathAloneIsBad) {
  for (const char* path : {"file", "dir", "rel", "fifo"}) {
    Fd fd(t_open(path, O_PATH | O_NOFOLLOW));
    EXPECT_ERRNO(EBADF, t_fsync(fd));
    EXPECT_ERRNO(EBADF, t_fdatasync(fd));
    EXPECT_ERRNO(EBADF, t_syncfs(fd));
    EXPECT_ERRNO(EBADF, t_sync_file_range(fd, 0, 0, kEveryStep));
  }
}

TEST_F(Sync, NoDescriptorIsBad) {
  for (int fd : {-1, AT_FDCWD, 1000}) {
    EXPECT_ERRNO(EBADF, t_fsync(fd));
    EXPECT_ERRNO(EBADF, t_fdatasync(fd));
    EXPECT_ERRNO(EBADF, t_syncfs(fd));
    EXPECT_ERRNO(EBADF, t_sync_file_range(fd, 0, 0, kEveryStep));
  }
}

TEST_F(Sync, RangesThatAreNone) {
  Fd fd(t_open("file", O_RDWR));
  EXPECT_ERRNO(EINVAL, t_sync_file_range(fd, 0, 0, 8));
  EXPECT_ERRNO(EINVAL, t_sync_file_range(fd, -1, 0, kEveryStep));
  EXPECT_ERRNO(EINVAL, t_sync_file_range(fd, 1, -2, kEveryStep));
  EXPECT_OK(t_sync_file_range(fd, 1 << 30, 1 << 30, kEveryStep));
  EXPECT_OK(t_sync_file_range(fd, 0, 0, 0));
}

TEST_F(Sync, WhatIsOpenForSynchronousWritesIsWritten) {
  for (int flags : {O_SYNC, O_DSYNC}) {
    Fd fd(t_open("file", O_RDWR | flags));
    ASSERT_EQ(5, write(fd, "HELLO", 5));
    EXPECT_EQ("HELLO", content_of("file").substr(0, 5));
    Fd made(t_open(("new" + std::to_string(flags)).c_str(), O_RDWR | O_CREAT | flags, 0600));
    ASSERT_EQ(1, write(made, "x", 1));
  }
}

TEST_F(Sync, Mappings) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  Fd fd(t_open("big", O_RDWR));
  auto* at = static_cast<char*>(mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ASSERT_NE(MAP_FAILED, static_cast<void*>(at));
  at[0] = '!';
  EXPECT_OK(t_msync(at, 1, MS_SYNC));
  EXPECT_OK(t_msync(at, 4 * page, MS_SYNC | MS_INVALIDATE));
  EXPECT_OK(t_msync(at, 4 * page, MS_ASYNC));
  EXPECT_OK(t_msync(at, 4 * page, 0));
  EXPECT_OK(t_msync(at, 0, MS_SYNC));
  EXPECT_EQ('!', content_of("big")[0]);
  EXPECT_ERRNO(EINVAL, t_msync(at + 1, page, MS_SYNC));
  EXPECT_ERRNO(EINVAL, t_msync(at, page, MS_SYNC | MS_ASYNC));
  EXPECT_ERRNO(EINVAL, t_msync(at, page, 8));
  EXPECT_ERRNO(ENOMEM, t_msync(at, SIZE_MAX - page, MS_SYNC));
  ASSERT_EQ(0, munmap(at + page, page));
  EXPECT_ERRNO(ENOMEM, t_msync(at, 4 * page, MS_SYNC));
  EXPECT_ERRNO(ENOMEM, t_msync(at + page, page, MS_SYNC));
  EXPECT_OK(t_msync(at + 2 * page, 2 * page, MS_SYNC));
  munmap(at, 4 * page);
}

TEST_F(Sync, MappingsOfNoFileAndOfOneThatIsRead) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  Fd fd(t_open("big", O_RDONLY));
  void* const mapped[] = {
      mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0),
      mmap(nullptr, page, PROT_READ, MAP_SHARED, fd, 0),
  };
  for (void* at : mapped) {
    ASSERT_NE(MAP_FAILED, at);
    EXPECT_OK(t_msync(at, page, MS_SYNC));
    munmap(at, page);
  }
}

}  // namespace
}  // namespace syscalls
