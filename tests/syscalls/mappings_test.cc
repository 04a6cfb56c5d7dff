// /proc/<task>/maps and its like: they name mapped files as programs do.
#include <linux/magic.h>
#include <sys/mman.h>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

TREE_SUITE(Mappings);

constexpr size_t kPage = 4096;

class Mapped {
 public:
  explicit Mapped(const char* path) {
    Fd fd(t_open(path, O_RDONLY));
    address_ = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, fd, 0);
    EXPECT_NE(MAP_FAILED, address_);
    // numa_maps tells of pages that are there.
    EXPECT_NE(-1, *static_cast<volatile const signed char*>(address_));
  }
  ~Mapped() { munmap(address_, kPage); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  void* address() const { return address_; }

 private:
  void* address_;
};

std::string list_of(const std::string& file) {
  return read_all(Fd(t_open(file.c_str(), O_RDONLY)));
}

// The line of this mapping in a list's text.
std::string line_in(const std::string& list, const void* address) {
  char start[20];
  snprintf(start, sizeof start, "%lx", reinterpret_cast<unsigned long>(address));
  for (size_t at = 0; at < list.size();) {
    size_t end = list.find('\n', at);
    if (end == std::string::npos) end = list.size();
    if (list.compare(at, strlen(start), start) == 0) return list.substr(at, end - at);
    at = end + 1;
  }
  ADD_FAILURE() << "no mapping at " << start << " in\n" << list;
  return "";
}

std::string line_of(const void* address, const std::string& file = "/proc/self/maps") {
  return line_in(list_of(file), address);
}

// What a line of maps says behind the inode.
std::string name_in(const std::string& line) {
  size_t at = 0;
  for (int field = 0; field < 5; field++) at = line.find(' ', at) + 1;
  at = line.find_first_not_of(' ', at);
  return at == std::string::npos ? "" : line.substr(at);
}

TEST_F(Mappings, NameFilesAsProgramsDo) {
  write_file("new", "new");
  Mapped lower("file"), made("new");
  EXPECT_EQ(cwd() + "/file", name_in(line_of(lower.address())));
  EXPECT_EQ(cwd() + "/new", name_in(line_of(made.address())));
  append_to("other", "more");
  Mapped copied("other");
  EXPECT_EQ(cwd() + "/other", name_in(line_of(copied.address())));
  ASSERT_OK(t_rename("dir", "moved"));
  Mapped moved("moved/a");
  EXPECT_EQ(cwd() + "/moved/a", name_in(line_of(moved.address())));
}

TEST_F(Mappings, AreListedUnderManyNames) {
  write_file("new", "new");
  Mapped made("new");
  const std::string self = std::to_string(getpid());
  for (const std::string& task : {"self"s, "thread-self"s, self, self + "/task/" + self}) {
    EXPECT_EQ(cwd() + "/new", name_in(line_of(made.address(), "/proc/" + task + "/maps")));
    EXPECT_EQ(cwd() + "/new", name_in(line_of(made.address(), "/proc/" + task + "/smaps")));
  }
  EXPECT_NE(std::string::npos, list_of("/proc/self/smaps").find("\nVmFlags:"));
  if (exists("/proc/self/numa_maps")) {
    EXPECT_NE(std::string::npos,
              line_of(made.address(), "/proc/self/numa_maps").find(" file=" + cwd() + "/new "));
  }
  Fd proc(t_open("/proc/self", O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(cwd() + "/new",
            name_in(line_in(read_all(Fd(t_openat(proc, "maps", O_RDONLY))), made.address())));
  ASSERT_OK(t_symlink("/proc/self/maps", "dir/tomaps"));
  EXPECT_EQ(cwd() + "/new", name_in(line_of(made.address(), "dir/tomaps")));
  if (!kLibcCalls) return;
  std::string text;
  FILE* stream = fopen("/proc/self/maps", "re");
  for (int c; (c = getc(stream)) != EOF;) text += static_cast<char>(c);
  fclose(stream);
  EXPECT_EQ(cwd() + "/new", name_in(line_in(text, made.address())));
}

TEST_F(Mappings, OfAnotherProcess) {
  write_file("new", "new");
  Mapped made("new");
  const pid_t self = getpid();
  EXPECT_EQ(0, in_child([&] {
              const std::string file = "/proc/" + std::to_string(self) + "/maps";
              return name_in(line_of(made.address(), file)) == cwd() + "/new" ? 0 : 1;
            }));
  if (geteuid() != 0) {
    EXPECT_ERRNO(EACCES, t_open("/proc/1/maps", O_RDONLY));
  }
  EXPECT_ERRNO(ENOENT, t_open("/proc/0/maps", O_RDONLY));
}

TEST_F(Mappings, TellTheInodeThatStatTells) {
  write_file("new", "new");
  append_to("other", "more");
  for (const char* path : {"file", "new", "other"}) {
    Mapped mapped(path);
    const std::string line = line_of(mapped.address());
    size_t at = 0;
    for (int field = 0; field < 4; field++) at = line.find(' ', at) + 1;
    EXPECT_EQ(std::to_string(stat_of(path).st_ino), line.substr(at, line.find(' ', at) - at))
        << line;
    EXPECT_EQ(73u, line.find('/')) << line;
  }
}

TEST_F(Mappings, OddNames) {
  for (const std::string& name : kHostileNames) {
    if (name == ".wh.file") continue;
    write_file("dir2/" + name, "odd");
    Mapped mapped(("dir2/" + name).c_str());
    std::string escaped = name;
    for (size_t at; (at = escaped.find('\n')) != std::string::npos;)
      escaped.replace(at, 1, "\\012");
    EXPECT_EQ(cwd() + "/dir2/" + escaped, name_in(line_of(mapped.address())));
  }
  write_file("back\\012slash", "odd");
  Mapped backslash("back\\012slash");
  EXPECT_EQ(cwd() + "/back\\012slash", name_in(line_of(backslash.address())));
  write_file("gone (deleted)", "odd");
  Mapped named("gone (deleted)");
  EXPECT_EQ(cwd() + "/gone (deleted)", name_in(line_of(named.address())));
  write_file("a = b", "odd");
  Mapped spaces("a = b");
  if (exists("/proc/self/numa_maps")) {
    const std::string line = line_of(spaces.address(), "/proc/self/numa_maps");
    EXPECT_NE(std::string::npos, line.find(" file=" + cwd() + "/a\\040\\075\\040b ")) << line;
  }
}

TEST_F(Mappings, OfARemovedFile) {
  write_file("new", "new");
  Mapped made("new");
  ASSERT_OK(t_unlink("new"));
  EXPECT_EQ(cwd() + "/new (deleted)", name_in(line_of(made.address())));
}

TEST_F(Mappings, InThousands) {
  write_file("one", std::string(kPage, '1'));
  write_file("two", std::string(kPage, '2'));
  Fd one(t_open("one", O_RDONLY)), two(t_open("two", O_RDONLY));
  constexpr size_t kCount = 4000;
  char* all = static_cast<char*>(
      mmap(nullptr, kCount * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(MAP_FAILED, all);
  for (size_t i = 0; i < kCount; i++)
    ASSERT_NE(MAP_FAILED, mmap(all + i * kPage, kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED,
                               i % 2 == 0 ? one : two, 0));
  const std::string list = list_of("/proc/self/maps");
  size_t found = 0;
  for (const std::string& name : {"/one\n"s, "/two\n"s})
    for (size_t at = 0; (at = list.find(" " + cwd() + name, at)) != std::string::npos; at++)
      found++;
  EXPECT_EQ(kCount, found);
  munmap(all, kCount * kPage);
}

TEST_F(Mappings, AreReadFromAPlainDescriptor) {
  write_file("new", "new");
  Mapped made("new");
  const int lowest = dup(0);
  close(lowest);
  Fd fd(t_open("/proc/self/maps", O_RDONLY | O_NONBLOCK)),
      exec(t_open("/proc/self/maps", O_CLOEXEC));
  EXPECT_EQ(lowest, fd);
  EXPECT_EQ(lowest + 1, exec);
  EXPECT_EQ(0, fcntl(fd, F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, fcntl(exec, F_GETFD));
  EXPECT_EQ(O_RDONLY | O_NONBLOCK, fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
  const std::string text = read_all(fd);
  EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
  EXPECT_EQ(line_in(text, made.address()), line_in(read_all(fd), made.address()));
  EXPECT_ERRNO(EBADF, write(fd, "x", 1));
  EXPECT_NE(0, ftruncate(fd, 0));
  EXPECT_EQ(mode_t(S_IFREG | 0444), fstat_of(fd).st_mode);
  EXPECT_EQ("/proc/" + std::to_string(getpid()) + "/maps",
            target_of("/proc/self/fd/" + std::to_string(fd)));
}

TEST_F(Mappings, AreAFileOfProcOtherwise) {
  write_file("new", "new");
  Mapped made("new");
  Fd path(t_open("/proc/self/maps", O_PATH));
  struct statfs fs;
  ASSERT_OK(t_fstatfs(path, &fs));
  EXPECT_EQ(PROC_SUPER_MAGIC, fs.f_type);
  EXPECT_EQ(0, stat_of("/proc/self/maps").st_size);
  EXPECT_ERRNO(ENOTDIR, t_open("/proc/self/maps", O_RDONLY | O_DIRECTORY));
  EXPECT_ERRNO(ENOTDIR, t_open("/proc/self/maps/", O_RDONLY));
  EXPECT_ERRNO(EEXIST, t_open("/proc/self/maps", O_RDONLY | O_CREAT | O_EXCL, 0600));
  if (geteuid() != 0) {
    EXPECT_ERRNO(EACCES, t_open("/proc/self/maps", O_RDWR));
  }
}

}  // namespace
}  // namespace syscalls
