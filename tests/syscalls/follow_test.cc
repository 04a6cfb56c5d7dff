// Descriptors that were opened to read a file, while it is changed through others: they show what
// is in the file, in whatever layer that is by now.
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

constexpr char kWas[] = "hello lower\n";  // in "file"
constexpr char kIs[] = "HELLO lower\n";

void change(const char* path = "file") {
  Fd fd(t_open(path, O_RDWR));
  EXPECT_EQ(5, pwrite(fd, "HELLO", 5, 0));
}

// All of a file, by one way of reading.
using Way = std::string (*)(int fd);
struct NamedWay {
  const char* name;
  Way read;
};
char buffer[64];
std::string taken(ssize_t n) { return n < 0 ? strerror(errno) : std::string(buffer, size_t(n)); }
template <class Send>
std::string through_pipe(Send send) {
  int ends[2];
  if (pipe(ends) != 0) return "pipe";
  const ssize_t sent = send(ends[1]);
  close(ends[1]);
  const ssize_t n = read(ends[0], buffer, sizeof buffer);
  close(ends[0]);
  return sent == n ? taken(n) : "not all of it was sent";
}
const NamedWay kWays[] = {
    {"read", [](int fd) { return taken(read(fd, buffer, sizeof buffer)); }},
    {"pread", [](int fd) { return taken(pread(fd, buffer, sizeof buffer, 0)); }},
    {"readv",
     [](int fd) {
       const iovec to[] = {{buffer, 3}, {buffer + 3, sizeof buffer - 3}};
       return taken(readv(fd, to, 2));
     }},
    {"preadv",
     [](int fd) {
       const iovec to[] = {{buffer, 3}, {buffer + 3, sizeof buffer - 3}};
       return taken(preadv(fd, to, 2, 0));
     }},
    {"mmap",
     [](int fd) {
       void* at = mmap(nullptr, 12, PROT_READ, MAP_PRIVATE, fd, 0);
       if (at == MAP_FAILED) return std::string(strerror(errno));
       std::string text(static_cast<char*>(at), 12);
       munmap(at, 12);
       return text;
     }},
    {"sendfile",
     [](int fd) {
       return through_pipe([fd](int to) { return sendfile(to, fd, nullptr, sizeof buffer); });
     }},
    {"splice",
     [](int fd) {
       return through_pipe(
           [fd](int to) { return splice(fd, nullptr, to, nullptr, sizeof buffer, 0); });
     }},
    {"copy_file_range",
     [](int fd) {
       Fd to(t_open("copied", O_RDWR | O_CREAT | O_TRUNC, 0600));
       const ssize_t n = copy_file_range(fd, nullptr, to, nullptr, sizeof buffer, 0);
       if (n < 0) return std::string(strerror(errno));
       return taken(pread(to, buffer, sizeof buffer, 0));
     }},
    {"a duplicate", [](int fd) { return taken(read(Fd(dup(fd)), buffer, sizeof buffer)); }},
    {"procfs",
     [](int fd) {
       Fd again(t_open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY));
       return taken(read(again, buffer, sizeof buffer));
     }},
};

TREE_SUITE(Follow);

TEST_F(Follow, EveryWayOfReading) {
  for (const NamedWay& way : kWays) {
    Fd fd(t_open("file", O_RDONLY));
    EXPECT_EQ(kWas, way.read(fd)) << way.name;
  }
  std::vector<int> fds;
  for (size_t i = 0; i < std::size(kWays); i++) fds.push_back(t_open("file", O_RDONLY));
  change();
  for (size_t i = 0; i < std::size(kWays); i++) {
    EXPECT_EQ(kIs, kWays[i].read(fds[i])) << kWays[i].name;
    close(fds[i]);
  }
}

TEST_F(Follow, TheirPositionStays) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_EQ(3, read(fd, buffer, 3));
  change();
  EXPECT_EQ(3, lseek(fd, 0, SEEK_CUR));
  EXPECT_EQ("LO lower\n", taken(read(fd, buffer, sizeof buffer)));
}

TEST_F(Follow, DuplicatesGoOnSharingTheirPosition) {
  Fd fd(t_open("file", O_RDONLY)), twin(dup(fd)), other(t_open("file", O_RDONLY));
  ASSERT_EQ(3, read(fd, buffer, 3));
  change();
  ASSERT_EQ(2, read(twin, buffer, 2));
  EXPECT_EQ(5, lseek(fd, 0, SEEK_CUR));
  EXPECT_EQ(0, lseek(other, 0, SEEK_CUR));
  ASSERT_EQ(5, lseek(fd, 0, SEEK_CUR));
  EXPECT_EQ(1, lseek(fd, 1, SEEK_SET));
  EXPECT_EQ(1, lseek(twin, 0, SEEK_CUR));
}

TEST_F(Follow, TheirFlagsStay) {
  Fd plain(t_open("file", O_RDONLY)),
      flagged(t_open("file", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_APPEND | O_ASYNC));
  const int flags = fcntl(flagged, F_GETFL);
  change();
  EXPECT_EQ(kIs, taken(read(plain, buffer, sizeof buffer)));
  EXPECT_EQ(kIs, taken(read(flagged, buffer, sizeof buffer)));
  EXPECT_EQ(0, fcntl(plain, F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, fcntl(flagged, F_GETFD));
  EXPECT_EQ(flags, fcntl(flagged, F_GETFL));
}

TEST_F(Follow, TheEndIsWhereItIsNow) {
  Fd fd(t_open("file", O_RDONLY));
  append_to("file", "more\n");
  EXPECT_EQ(17, lseek(fd, 0, SEEK_END));
  EXPECT_EQ(17, fstat_of(fd).st_size);
  ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
  EXPECT_EQ("hello lower\nmore\n", read_all(fd));
  Fd(t_open("file", O_WRONLY | O_TRUNC));
  EXPECT_EQ(0, lseek(fd, 0, SEEK_END));
  EXPECT_EQ(0, fstat_of(fd).st_size);
}

TEST_F(Follow, AChangeOfMetadataAloneKeepsThem) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_OK(t_chmod("file", 0600));
  EXPECT_EQ(kWas, taken(read(fd, buffer, sizeof buffer)));
  EXPECT_EQ(0600u, fstat_of(fd).st_mode & 07777);
  change();
  EXPECT_EQ(kIs, taken(pread(fd, buffer, sizeof buffer, 0)));
}

TEST_F(Follow, ThroughRenames) {
  Fd before(t_open("file", O_RDONLY)), below(t_open("dir/a", O_RDONLY));
  change();
  ASSERT_OK(t_rename("file", "dir2/moved"));
  ASSERT_OK(t_rename("dir2/moved", "dir2/again"));
  EXPECT_EQ(kIs, taken(read(before, buffer, sizeof buffer)));
  append_to("dir/a", "more\n");
  ASSERT_OK(t_rename("dir", "moved"));
  EXPECT_EQ(stat_of("moved/a").st_size, off_t(read_all(below).size()));
}

TEST_F(Follow, AFileThatWasRenamedIsChanged) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_OK(t_rename("file", "dir2/moved"));
  change("dir2/moved");
  EXPECT_EQ(kIs, taken(read(fd, buffer, sizeof buffer)));
}

TEST_F(Follow, AFileThatIsRemovedByAnotherProcess) {
  Fd fd(t_open("file", O_RDONLY)), replaced(t_open("dir/a", O_RDONLY));
  EXPECT_EQ(0, in_child([&] {
              change();
              append_to("dir/a", "more\n");
              return t_chmod("file", 0600) == 0 && t_unlink("file") == 0 &&
                             t_rename("dir/b", "dir/a") == 0
                         ? 0
                         : 1;
            }));
  EXPECT_EQ(0600u, fstat_of(fd).st_mode & 07777);
  EXPECT_EQ(0u, fstat_of(fd).st_nlink);
  EXPECT_EQ(kIs, taken(pread(fd, buffer, sizeof buffer, 0)));
  EXPECT_EQ(0u, fstat_of(fd).st_nlink);
  EXPECT_EQ("a\nmore\n", taken(read(replaced, buffer, sizeof buffer)));
}

TEST_F(Follow, AFileThatWasRemovedIsChanged) {
  Fd fd(t_open("file", O_RDONLY)), other(t_open("file", O_RDONLY)),
      metadata(t_open("dir/a", O_RDONLY));
  ASSERT_OK(t_unlink("file"));
  ASSERT_OK(t_rename("dir/b", "dir/a"));
  EXPECT_EQ(0, in_child([&] {
              const timespec times[2] = {{11, 0}, {22, 0}};
              return t_fchmod(fd, 0640) == 0 && t_futimens(fd, times) == 0 &&
                             t_fsetxattr(fd, "user.a", "one", 3, 0) == 0 &&
                             t_fchmod(metadata, 0600) == 0
                         ? 0
                         : 1;
            }));
  EXPECT_EQ(0640u, fstat_of(other).st_mode & 07777);
  EXPECT_EQ(22, fstat_of(other).st_mtime);
  EXPECT_EQ(0u, fstat_of(other).st_nlink);
  EXPECT_EQ(3, t_fgetxattr(other, "user.a", buffer, sizeof buffer));
  EXPECT_EQ(0600u, fstat_of(metadata).st_mode & 07777);
  EXPECT_EQ(kWas, taken(pread(other, buffer, sizeof buffer, 0)));
  Fd writer(t_open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR));
  ASSERT_EQ(5, pwrite(writer, "HELLO", 5, 0));
  EXPECT_EQ(kIs, taken(pread(other, buffer, sizeof buffer, 0)));
  EXPECT_EQ(kIs, taken(pread(fd, buffer, sizeof buffer, 0)));
  EXPECT_ERRNO(ENOENT, t_access("file", F_OK));
}

TEST_F(Follow, WhatTakesTheNameIsAnotherFile) {
  Fd fd(t_open("file", O_RDONLY));
  ASSERT_OK(t_unlink("file"));
  write_file("file", "another\n");
  EXPECT_EQ(kWas, taken(read(fd, buffer, sizeof buffer)));
}

TEST_F(Follow, InOtherProcesses) {
  int go[2], gone[2];
  ASSERT_EQ(0, pipe(go));
  ASSERT_EQ(0, pipe(gone));
  Fd shared(t_open("file", O_RDONLY));
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    Fd own(t_open("file", O_RDONLY));
    char c;
    if (write(go[1], "x", 1) != 1 || read(gone[0], &c, 1) != 1) _exit(1);
    struct stat st;
    if (t_stat(".", &st) != 0) _exit(2);  // programs without the preload notice at a call like this
    if (taken(read(own, buffer, sizeof buffer)) != kIs) _exit(3);
    _exit(taken(pread(shared, buffer, sizeof buffer, 0)) == kIs ? 0 : 4);
  }
  char c;
  ASSERT_EQ(1, read(go[0], &c, 1));
  change();
  ASSERT_EQ(1, write(gone[1], "x", 1));
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status >> 8);
  EXPECT_EQ(kIs, taken(pread(shared, buffer, sizeof buffer, 0)));
  for (int end : {go[0], go[1], gone[0], gone[1]}) close(end);
}

TEST_F(Follow, AfterAChildOfVforkThatReadFirst) {
  if (!kLibcCalls) return;
  fflush(nullptr);
  // A process that has followed nothing.
  const pid_t child = fork();
  if (child == 0) {
    Fd fd(t_open("file", O_RDONLY));
    const pid_t writer = fork();
    if (writer == 0) {
      change();
      _exit(0);
    }
    waitpid(writer, nullptr, 0);
    const pid_t grandchild = vfork();
    if (grandchild == 0) _exit(static_cast<int>(read(fd, buffer, 0)));
    waitpid(grandchild, nullptr, 0);
    struct stat st;
    if (t_stat(".", &st) != 0) _exit(2);  // as in InOtherProcesses
    _exit(taken(pread(fd, buffer, sizeof buffer, 0)) == kIs ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
}

TEST_F(Follow, OfManyDescriptorsEach) {
  std::vector<int> fds;
  for (int i = 0; i < 200; i++)
    fds.push_back(t_open(i % 3 == 0 ? "file" : i % 3 == 1 ? "dir/a" : "dir/b", O_RDONLY));
  change();
  for (int i = 0; i < 200; i += 3)
    EXPECT_EQ(kIs, taken(read(fds[size_t(i)], buffer, sizeof buffer)));
  for (int fd : fds) close(fd);
}

TEST_F(Follow, Streams) {
  if (!kLibcCalls) return;
  FILE* stream = fopen("file", "re");
  ASSERT_NE(nullptr, stream);
  change();
  ASSERT_NE(nullptr, fgets(buffer, sizeof buffer, stream));
  EXPECT_STREQ(kIs, buffer);
  fclose(stream);
}

TEST_F(Follow, AHardLinkIsChangedByItsOtherName) {
  Fd fd(t_open("hard1", O_RDONLY));
  const off_t size = fstat_of(fd).st_size;
  append_to("hard2", "more\n");
  EXPECT_EQ(size + 5, off_t(read_all(fd).size()));
}

}  // namespace
}  // namespace syscalls
