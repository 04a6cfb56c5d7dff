// Every call of the table with arguments that no libc would hand over: bad pointers, strings that
// run into an unmapped page, huge lengths, odd flags, descriptors that are closed. Prints what each
// call came to, so that two runs with the same seed can be compared: natively, and through the
// supervisor (it is run without the preload).
//
//   args build DIR           the trees that the calls work on, one for each round
//   args run DIR SEED CALLS  the calls
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/args/calls.h"

namespace {

constexpr int kRounds = 24;  // trees; the calls are dealt out to them

long raw(long number, const unsigned long (&a)[6]) {
  register unsigned long r10 __asm__("r10") = a[3];
  register unsigned long r8 __asm__("r8") = a[4];
  register unsigned long r9 __asm__("r9") = a[5];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

// --- memory: pages at fixed places, so that both runs have the same addresses ---
constexpr uintptr_t kBase = 0x10000000, kPage = 4096;
constexpr uintptr_t kGood = kBase;                 // 16 pages, read and write
constexpr uintptr_t kEnd = kGood + 16 * kPage;     // not mapped
constexpr uintptr_t kReadOnly = kBase + 0x100000;  // a page, and one that is not mapped
constexpr uintptr_t kNoAccess = kBase + 0x200000;  // a page of PROT_NONE
constexpr uintptr_t kLong = kBase + 0x300000;      // a string without end, 3 pages
constexpr uintptr_t kLongEnd = kLong + 3 * kPage;  // not mapped
constexpr uintptr_t kNeverMapped = kBase + 0x400000;

void map(uintptr_t at, size_t size, int protection) {
  if (mmap(reinterpret_cast<void*>(at), size, protection,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED) {
    perror("mmap");
    exit(2);
  }
}

char* at(uintptr_t address) { return reinterpret_cast<char*>(address); }

void map_all() {
  map(kGood, kEnd - kGood, PROT_READ | PROT_WRITE);
  map(kReadOnly, kPage, PROT_READ | PROT_WRITE);
  strcpy(at(kReadOnly), "file");
  mprotect(at(kReadOnly), kPage, PROT_READ);
  map(kNoAccess, kPage, PROT_NONE);
  map(kLong, kLongEnd - kLong, PROT_READ | PROT_WRITE);
}

// Strings and structures of one call, one after the other in the good pages.
class Memory {
 public:
  void clear() {
    memset(at(kGood), 0, kEnd - kGood);
    next_ = kGood + 64;
  }
  uintptr_t put(const void* bytes, size_t size) {
    const uintptr_t place = next_;
    next_ += (size + 79) & ~size_t{15};
    if (next_ > kEnd - kPage) abort();
    memcpy(at(place), bytes, size);
    return place;
  }
  uintptr_t put(const std::string& text) { return put(text.c_str(), text.size() + 1); }
  // So that the last byte is the last before the page that is not mapped.
  static uintptr_t put_last(const void* bytes, size_t size) {
    memcpy(at(kEnd - size), bytes, size);
    return kEnd - size;
  }
  // Over the border of two pages.
  static uintptr_t put_across(const std::string& text) {
    const uintptr_t place = kGood + 13 * kPage - text.size() / 2;
    memcpy(at(place), text.c_str(), text.size() + 1);
    return place;
  }

 private:
  uintptr_t next_ = kGood;
};

// --- the tree ---
constexpr const char* kDirectories[] = {"dir", "dir/sub", "empty"};
constexpr const char* kFiles[] = {"file",  "other",     "dir/a",     "dir/b",
                                  "dir/c", "dir/sub/x", "dir/sub/y", "script"};
std::string tree_name(int round) { return "t" + std::to_string(round); }

int build(const char* directory) {
  if (chdir(directory) != 0) return 2;
  for (int round = 0; round < kRounds; round++) {
    if (mkdir(tree_name(round).c_str(), 0755) != 0 || chdir(tree_name(round).c_str()) != 0)
      return 2;
    for (const char* path : kDirectories)
      if (mkdir(path, 0755) != 0) return 2;
    for (const char* path : kFiles) {
      FILE* file = fopen(path, "w");
      // One can be executed, up to the point where its interpreter is looked for.
      const bool script = strcmp(path, "script") == 0;
      fprintf(file, script ? "#!/no/such/interpreter\n" : "content of %s\n", path);
      fclose(file);
      if (script) chmod(path, 0755);
    }
    if (symlink("dir/a", "link") != 0 || symlink("nothing", "dangling") != 0 ||
        symlink("loop", "loop") != 0 || symlink("dir", "dirlink") != 0 || chdir("..") != 0)
      return 2;
  }
  return 0;
}

// Descriptors have fixed numbers.
constexpr int kReadFd = 40, kWriteFd = 41, kDirFd = 42, kPathFd = 43, kPathDirFd = 44, kPipeFd = 45,
              kSocketFd = 46, kInotifyFd = 47, kClosedFd = 99;

void place_fd(int fd, int number) {
  if (fd == number) return;
  dup2(fd, number);
  if (fd >= 0) close(fd);
}

void open_descriptors() {
  place_fd(open("file", O_RDONLY), kReadFd);
  place_fd(open("dir/b", O_RDWR), kWriteFd);
  place_fd(open("dir", O_RDONLY | O_DIRECTORY), kDirFd);
  place_fd(open("dir/c", O_PATH), kPathFd);
  place_fd(open("dir", O_PATH), kPathDirFd);
  int ends[2];
  if (pipe(ends) != 0) exit(2);
  place_fd(ends[0], kPipeFd);
  close(ends[1]);
  place_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), kSocketFd);
  place_fd(inotify_init1(IN_NONBLOCK), kInotifyFd);
}

// --- arguments ---
struct Argument {
  unsigned long value = 0;
  std::string text;  // says what it is
  bool odd = false;  // something is wrong with it
};

class Arguments {
 public:
  explicit Arguments(unsigned seed) : random_(seed) {}

  // `wanted`: the kind of descriptor that the call is about.
  Argument make(char parameter, const char* wanted) {
    Argument argument = make_any(parameter);
    switch (parameter) {
      case 'd':
        argument.odd =
            argument.text != "AT_FDCWD" && argument.text.find("irectory") == argument.text.npos;
        break;
      case 'f':
        argument.odd =
            argument.text != wanted && (strcmp(wanted, "file") != 0 || argument.text != "dir/b");
        break;
      case 'o':
      case 'a':
      case 'r':
      case 'x':
      case 'n':
      case 'D':
      case 'q':
        argument.odd = argument.value != 0;
        break;
      case 'l':
        argument.odd = argument.value > kPage;
        break;
      case 'S':
        argument.odd = argument.value != 110;
        break;
      case 'H':
        argument.odd = argument.value != 24;
        break;
      case 'X':
        argument.odd = argument.value != 0644;
        break;
      default:
        break;
    }
    return argument;
  }
  void clear() { memory_.clear(); }
  size_t below(size_t limit) { return random_() % limit; }
  bool one_in(size_t n) { return below(n) == 0; }

 private:
  Argument make_any(char parameter) {
    switch (parameter) {
      case 'p':
        return path(kExisting, std::size(kExisting));
      case 'P':
        return one_in(3) ? path(kExisting, std::size(kExisting)) : path(kNew, std::size(kNew));
      case 's':
        return path(kShort, std::size(kShort));
      case 'd':
        return one_in(2) ? number(static_cast<unsigned>(AT_FDCWD), "AT_FDCWD") : descriptor();
      case 'f':
        return descriptor();
      case 'o':
        return flags({O_RDONLY, O_WRONLY, O_RDWR, 3},
                     {O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_PATH, O_DIRECTORY, O_NOFOLLOW,
                      O_CLOEXEC, O_NONBLOCK, O_TMPFILE, O_NOATIME, O_SYNC});
      case 'a':
        return flags({0}, {AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW,
                           AT_NO_AUTOMOUNT, AT_STATX_DONT_SYNC});
      case 'r':
        return number(flags({0}, {1, 2}).value & ~4UL);  // no whiteouts: overlays refuse them
      case 'x':
        return flags({0}, {1, 2});
      case 'm':
        return pick({0, 0644, 0755, 0700, 07777, 0177777, ~0UL});
      case 'n':
        return flags({0}, {1, 2, 4, 0x7ff});
      case 'l':
        return pick({0, 1, 5, 100, kPage, 65536, 65537, 0x7fffffff, 0x80000000, 0x7fffffffffffffff,
                     0x8000000000000000, ~0UL});
      case 'b':
        return buffer();
      case 't':
        return times();
      case 'h':
        return how();
      case 'H':
        return pick({0, 8, 23, 24, 24, 24, 24, 32, kPage, kPage + 1, ~0UL});
      case 'v':
        return vector();
      case 'i':
        return pick({0xffffffff, 0xffffffff, getuid(), ~0UL});
      case 'q':
        return pick({FS_IOC_GETFLAGS, FICLONE, FICLONERANGE, FS_IOC_FSGETXATTR, FS_IOC_GETVERSION,
                     0, ~0UL});
      case 'A':
        return socket_address();
      case 'S':
        return pick({0, 1, 2, 3, 10, 30, 109, 110, 111, 128, 129, 0x7fffffff, 0x80000000, ~0UL});
      case 'Z':
        return size_pointer();
      case 'M':
        return message();
      case 'D':
        return pick({0, 0x103, ~0UL});
      case 'X':
        return pick(
            {0644, S_IFREG | 0644, S_IFSOCK | 0600, S_IFDIR | 0755, S_IFLNK | 0777, S_IFMT});
      default:
        abort();
    }
  }
  static constexpr const char* kExisting[] = {
      "file", "other",     "dir",     "dir/a",   "dir/sub/x", "dir/sub",
      "link", "dirlink/a", "script",  "empty",   "",          ".",
      "..",   "/",         "file/",   "file/x",  "dir/",      "dir/..",
      "loop", "dangling",  "nothing", "no/such", "dir//a/",   "./dir/./sub/../b"};
  static constexpr const char* kNew[] = {"new",       "new2",        "dir/new", "dir/sub/new",
                                         "empty/new", "new/",        "new/x",   ".",
                                         "",          "dirlink/new3"};
  static constexpr const char* kShort[] = {"user.test", "user.a",  "user.", "trusted.x",
                                           "system.x",  "nothing", "",      "user.overlay.opaque"};

  static Argument number(unsigned long value, std::string text) { return {value, std::move(text)}; }
  static Argument number(unsigned long value) {
    char text[32];
    snprintf(text, sizeof text, "%#lx", value);
    return {value, text};
  }
  Argument pick(std::initializer_list<unsigned long> values) {
    return number(values.begin()[below(values.size())]);
  }
  Argument flags(std::initializer_list<unsigned long> bases,
                 std::initializer_list<unsigned long> more) {
    unsigned long value = bases.begin()[below(bases.size())];
    for (size_t n = below(3); n > 0; n--) value |= more.begin()[below(more.size())];
    if (one_in(12)) value ^= 1UL << below(32);
    if (one_in(20)) value |= 0xdead00000000;  // the upper half of an int is not looked at
    return number(value);
  }
  Argument descriptor() {
    static constexpr struct {
      long fd;
      const char* text;
    } kFds[] = {{kReadFd, "file"},
                {kWriteFd, "dir/b"},
                {kDirFd, "directory"},
                {kPathFd, "O_PATH"},
                {kPipeFd, "pipe"},
                {kPathDirFd, "O_PATH directory"},
                {kSocketFd, "socket"},
                {kSocketFd, "socket"},
                {kInotifyFd, "inotify"},
                {kClosedFd, "closed"},
                {-1, "-1"},
                {0x7fffffff, "huge"},
                {-2147483647, "-huge"},
                {AT_FDCWD, "cwd"},
                {0x100000000 + kDirFd, "directory, upper half set"}};
    const auto& fd = kFds[below(std::size(kFds))];
    return number(static_cast<unsigned long>(fd.fd), fd.text);
  }
  Argument bad_pointer() {
    static constexpr struct {
      unsigned long address;
      const char* text;
    } kBad[] = {{0, "NULL"},
                {1, "1"},
                {kNeverMapped, "unmapped"},
                {kEnd, "behind the last page"},
                {kNoAccess, "no access"},
                {0xffff888000000000, "the kernel's half"},
                {0xffffffffff600000, "vsyscall"},
                {0x800000000000, "not canonical"},
                {0x8000000000000000, "2^63"},
                {~0UL, "-1"},
                {0x7fffffffefff, "the last of the program's half"}};
    const auto& bad = kBad[below(std::size(kBad))];
    return {bad.address, bad.text, true};
  }
  Argument path(const char* const* names, size_t count) {
    const size_t chosen = below(count);
    const std::string name = names[chosen];
    Argument argument = place(name);
    const size_t plain = names == kExisting ? 9 : names == kNew ? 4 : 2;
    argument.odd = argument.odd || chosen >= plain;
    return argument;
  }
  Argument place(const std::string& name) {
    switch (below(14)) {
      case 0:
      case 1:
        return bad_pointer();
      case 2:  // no NUL before the page that is not mapped
        return {Memory::put_last(name.data(), name.size()), "runs out of its page: " + name, true};
      case 3:
        return number(Memory::put_last(name.c_str(), name.size() + 1),
                      "up to the page's end: " + name);
      case 4:
        return number(Memory::put_across(name), "across pages: " + name);
      case 5:
        return number(kReadOnly, "read-only: file");
      case 6: {
        static constexpr size_t kSizes[] = {255, 256, 4094, 4095, 4096, 5000};
        const size_t size = kSizes[below(std::size(kSizes))];
        memset(at(kLong), '/', size);
        memset(at(kLong) + size - 250, 'n', 250);
        at(kLong)[size] = 0;
        return {kLong, "of " + std::to_string(size) + " bytes", true};
      }
      case 7:
        memset(at(kLong), 'x', kLongEnd - kLong);
        return {kLongEnd - (one_in(2) ? 3000 : 2 * kPage), "without end", true};
      default:
        return number(memory_.put(name), "\"" + name + "\"");
    }
  }
  Argument buffer() {
    switch (below(8)) {
      case 0:
      case 1:
        return bad_pointer();
      case 2:
        return {kReadOnly, "read-only", true};
      case 3: {
        const size_t room = below(300);
        return {kEnd - room, std::to_string(room) + " bytes before the end", true};
      }
      default:
        return number(kGood + 4 * kPage, "buffer");
    }
  }
  Argument structure(const void* bytes, size_t size, const std::string& text) {
    if (one_in(6)) return bad_pointer();
    if (one_in(8)) return {kEnd - size / 2, "cut: " + text, true};
    if (one_in(5)) return number(Memory::put_last(bytes, size), text + ", last in its page");
    return number(memory_.put(bytes, size), text);
  }
  Argument times() {
    if (one_in(4)) return number(0, "now");
    static constexpr long kNanoseconds[] = {0,  5,         999999999,  1000000000,
                                            -1, UTIME_NOW, UTIME_OMIT, 1000000};
    const long seconds = one_in(4) ? -1 : 1000000000;
    const long values[4] = {seconds, kNanoseconds[below(8)], seconds, kNanoseconds[below(8)]};
    return structure(values, sizeof values,
                     "{" + std::to_string(values[1]) + ", " + std::to_string(values[3]) + "}");
  }
  Argument how() {
    const uint64_t values[4] = {make_any('o').value & 0xffffffff, one_in(3) ? 0644u : 0u,
                                one_in(3) ? 1u << below(7) : 0u, one_in(10) ? 1u : 0u};
    char text[100];
    snprintf(text, sizeof text, "{%#lx, %#lo, %#lx, %lu}", values[0], values[1], values[2],
             values[3]);
    Argument argument = structure(values, sizeof values, text);
    argument.odd = true;
    return argument;
  }
  Argument vector() {
    const unsigned long word = memory_.put(std::string("word"));
    switch (below(7)) {
      case 0:
        return bad_pointer();
      case 1: {
        const unsigned long items[] = {word, bad_pointer().value, 0};
        return {memory_.put(items, sizeof items), "with a bad pointer", true};
      }
      case 2: {
        const unsigned long items[] = {word, word};
        return {Memory::put_last(items, sizeof items), "without end", true};
      }
      case 3: {
        memset(at(kLong), 'x', kLongEnd - kLong);
        const unsigned long items[] = {kLong, 0};
        return {memory_.put(items, sizeof items), "with a string without end", true};
      }
      case 4: {
        const unsigned long items[] = {0};
        return number(memory_.put(items, sizeof items), "empty");
      }
      default: {
        const unsigned long items[] = {word, word, 0};
        return number(Memory::put_last(items, sizeof items), "good");
      }
    }
  }
  std::string some_address(std::string* text) {
    sockaddr_un address = {};
    address.sun_family = one_in(8) ? AF_INET : AF_UNIX;
    static constexpr const char* kNames[] = {"",        "new4",    "dir/new4", "file",
                                             "nothing", "no/such", "dir"};
    const char* name = kNames[below(std::size(kNames))];
    strcpy(address.sun_path, name);
    if (one_in(6)) memset(address.sun_path, 'n', sizeof address.sun_path);
    *text = std::string("address of ") + name;
    return std::string(reinterpret_cast<char*>(&address), sizeof address);
  }
  Argument socket_address() {
    std::string text;
    const std::string address = some_address(&text);
    Argument argument = structure(address.data(), address.size(), text);
    argument.odd = argument.odd || text != "address of new4";
    return argument;
  }
  Argument size_pointer() {
    static constexpr int kSizes[] = {0, 1, 2, 110, 128, -1};
    const int size = kSizes[below(std::size(kSizes))];
    return structure(&size, sizeof size, "size " + std::to_string(size));
  }
  Argument message() {
    std::string text;
    const std::string address = some_address(&text);
    char data[8] = "data";
    iovec vector = {at(one_in(6) ? bad_pointer().value : memory_.put(data, sizeof data)),
                    one_in(8) ? ~size_t{0} : 4};
    msghdr header = {};
    header.msg_name =
        at(one_in(5) ? bad_pointer().value : memory_.put(address.data(), address.size()));
    header.msg_namelen = one_in(4) ? static_cast<socklen_t>(pick({0, 1, 2, 111, 0x80000000}).value)
                                   : sizeof(sockaddr_un);
    header.msg_iov = reinterpret_cast<iovec*>(one_in(8) ? bad_pointer().value
                                                        : memory_.put(&vector, sizeof vector));
    header.msg_iovlen = one_in(8) ? 2000 : 1;
    if (one_in(8)) {
      header.msg_control = at(bad_pointer().value);
      header.msg_controllen = 32;
    }
    Argument argument = structure(&header, sizeof header, "message to " + text);
    argument.odd = true;
    return argument;
  }

  std::mt19937 random_;
  Memory memory_;
};

// What a program sees of a result: its value where that is the same in each run.
void show(const Call& call, long result) {
  const std::string_view name = call.name;
  if (result < 0)
    printf("%s\n", strerrorname_np(static_cast<int>(-result)));
  else if (name.starts_with("readlink") || name.find("getxattr") != name.npos)
    printf("%ld\n", result);
  else
    printf("ok\n");
}

long carry_out(const Call& call, const unsigned long (&values)[6]) {
  if (strncmp(call.name, "execve", 6) != 0) return raw(call.number, values);
  const pid_t child = fork();
  if (child == 0) _exit(static_cast<int>(-raw(call.number, values)));
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? -WEXITSTATUS(status) : -EREMOTEIO;  // killed
}

int run(const std::string& directory, unsigned seed, int calls) {
  check_table();
  map_all();
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  umask(022);
  const rlimit most = {1 << 28, 1 << 28};
  setrlimit(RLIMIT_FSIZE, &most);
  Arguments arguments(seed);
  int round = -1;
  for (int number = 0; number < calls; number++) {
    if (number * kRounds / calls != round) round = number * kRounds / calls;
    const std::string tree = directory + "/" + tree_name(round);
    // A call before may have closed the way.
    if (chdir(tree.c_str()) != 0) {
      chmod(directory.c_str(), 0755);
      chmod(tree.c_str(), 0755);
    }
    if (chdir(tree.c_str()) != 0) {
      printf("%d: no way back to %s: %s\n", number, tree.c_str(), strerror(errno));
      return 1;
    }
    open_descriptors();
    arguments.clear();
    const Call& call = kCalls[arguments.below(std::size(kCalls))];
    unsigned long values[6] = {};
    std::string text;
    int odd = 0;
    const char* wanted = strpbrk(call.parameters, "AZM") != nullptr    ? "socket"
                         : strcmp(call.name, "inotify_add_watch") == 0 ? "inotify"
                                                                       : "file";
    for (size_t i = 0; call.parameters[i] != 0; i++) {
      const Argument argument = arguments.make(call.parameters[i], wanted);
      odd += argument.odd ? 1 : 0;
      if (call.parameters[i] == 'M' || call.parameters[i] == 'Z') odd++;  // made of several
      values[i] = argument.value;
      text += (i == 0 ? "" : ", ") + argument.text;
    }
    fflush(stdout);  // before a fork
    const long result = carry_out(call, values);
    printf("%d %s t%d: %s(%s) = ", number, odd > 1 ? "several" : "one", round, call.name,
           text.c_str());
    show(call, result);
    close_range(3, ~0U, 0);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "build") == 0) return build(argv[2]);
  if (argc == 5 && strcmp(argv[1], "run") == 0)
    return run(argv[2], static_cast<unsigned>(strtoul(argv[3], nullptr, 10)), atoi(argv[4]));
  fprintf(stderr, "args build DIR | args run DIR SEED CALLS\n");
  return 2;
}
