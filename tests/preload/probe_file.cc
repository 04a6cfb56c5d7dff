// Files: open in all spellings, streams, temporary names, paths.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <wchar.h>

#include <algorithm>

#include "tests/preload/probe.h"

extern "C" int __xstat(int, const char*, struct stat*);
extern "C" int __fxstatat(int, int, const char*, struct stat*, int);
extern "C" int __open_2(const char*, int);
extern "C" int __open64_2(const char*, int);
extern "C" int __openat_2(int, const char*, int);
extern "C" ssize_t __readlink_chk(const char*, char*, size_t, size_t);
extern "C" char* __realpath_chk(const char*, char*, size_t);
extern "C" char* __getcwd_chk(char*, size_t, size_t);

namespace {

// fopen FILE...: every mode on each file; 'w' and 'a' change it.
int fopen_command(const Arguments& a) {
  static const char* const kModes[] = {"r",  "rb", "r+", "re",  "a", "a+e", "ab+",
                                       "wx", "w",  "w+", "w+x", "q", ""};
  for (const std::string& path : a) {
    for (const char* mode : kModes) {
      FILE* f = fopen(path.c_str(), mode);
      printf("%s \"%s\": %s", path.c_str(), mode, outcome(f != nullptr ? 0 : -1).c_str());
      if (f != nullptr) {
        const int fd = fileno(f);
        printf(" flags %o cloexec %d at %ld", fcntl(fd, F_GETFL) & ~O_LARGEFILE, fcntl(fd, F_GETFD),
               ftell(f));
        printf(" write %d", fputs("text\n", f) >= 0 && fflush(f) == 0);
        fclose(f);
      }
      puts("");
    }
  }
  return 0;
}

int wide_command(const Arguments& a) {
  FILE* f = fopen(a[0].c_str(), "w,ccs=UTF-8");
  if (f == nullptr) return printf("%s\n", outcome(-1).c_str()), 0;
  const int fd = fileno(f), expected = open("/dev/null", O_RDONLY);
  printf("lowest number %d\n", expected == fd + 1);
  fputws(L"gr\u00fc\u00dfe\n", f);
  fclose(f);
  close(expected);
  f = fopen(a[0].c_str(), "r,ccs=UTF-8");
  wchar_t text[32];
  printf("read %d\n", fgetws(text, 32, f) != nullptr && wcscmp(text, L"gr\u00fc\u00dfe\n") == 0);
  fclose(f);
  return 0;
}

// freopen EXISTING NEW: numbers stay, contents land.
int freopen_command(const Arguments& a) {
  FILE* f = fopen(a[0].c_str(), "r");
  const int number = fileno(f);
  char line[64] = "";
  FILE* again = freopen(a[1].c_str(), "w", f);
  printf("same stream %d, same number %d\n", again == f, fileno(f) == number);
  fputs("written\n", f);
  again = freopen(nullptr, "a", f);
  printf("mode change %s, flags %o\n", outcome(again != nullptr ? 0 : -1).c_str(),
         fcntl(fileno(f), F_GETFL) & O_APPEND);
  fputs("appended\n", f);
  again = freopen(a[1].c_str(), "re", f);
  printf("cloexec %d\n", fcntl(fileno(f), F_GETFD));
  while (fgets(line, sizeof line, f) != nullptr) printf("line %s", line);
  again = freopen("no/such/file", "r", f);
  printf("missing: %s\n", outcome(again != nullptr ? 0 : -1).c_str());
  // What was open for reading must not become a way into a lower file.
  f = fopen(a[0].c_str(), "r");
  again = freopen(nullptr, "r+", f);
  printf("reading to writing: %s\n", outcome(again != nullptr ? 0 : -1).c_str());
  if (again != nullptr) {
    fputs("CHANGED", again);
    fclose(again);
  }
  return 0;
}

// The spellings that old and fortified programs use.
int spellings_command(const Arguments& a) {
  const char* path = a[0].c_str();
  struct stat st;
  printf("__xstat %s", outcome(__xstat(1, path, &st)).c_str());
  printf(" size %ld\n", static_cast<long>(st.st_size));
  printf("__xstat of no version %s\n", outcome(__xstat(7, path, &st)).c_str());
  printf("__fxstatat %s\n", outcome(__fxstatat(1, AT_FDCWD, path, &st, 0)).c_str());
  for (int fd : {__open_2(path, O_RDONLY), __open64_2(path, O_RDONLY),
                 __openat_2(AT_FDCWD, path, O_RDONLY)}) {
    char byte = 0;
    const ssize_t n = read(fd, &byte, 1);
    printf("open %s, first byte %d\n", outcome(n).c_str(), byte);
    close(fd);
  }
  char buffer[PATH_MAX];
  const ssize_t n = __readlink_chk(a[1].c_str(), buffer, 100, sizeof buffer);
  printf("__readlink_chk %.*s\n", static_cast<int>(n > 0 ? n : 0), buffer);
  printf("__realpath_chk %s\n",
         __realpath_chk(path, buffer, sizeof buffer) != nullptr ? strrchr(buffer, '/') : "-");
  printf("__getcwd_chk %d\n", __getcwd_chk(buffer, 4096, sizeof buffer) != nullptr);
  const long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
  printf("syscall openat %s\n", outcome(fd).c_str());
  printf("syscall statx of NULL: %s\n",
         outcome(syscall(SYS_statx, AT_FDCWD, nullptr, 0, 0, nullptr)).c_str());
  printf("syscall fstat %s size %ld\n", outcome(syscall(SYS_fstat, fd, &st)).c_str(),
         static_cast<long>(st.st_size));
  printf("syscall of no number: %s\n", outcome(syscall(100000)).c_str());
  close(static_cast<int>(fd));
  return 0;
}

int realpath_command(const Arguments& a) {
  char cwd[PATH_MAX];
  if (getcwd(cwd, sizeof cwd) == nullptr) return 1;
  for (const std::string& path : a) {
    char* made = realpath(path.c_str(), nullptr);
    std::string shown = made == nullptr ? outcome(-1) : made;
    if (shown.compare(0, strlen(cwd), cwd) == 0) shown = "CWD" + shown.substr(strlen(cwd));
    printf("%s -> %s\n", path.c_str(), shown.c_str());
    char buffer[PATH_MAX];
    if (realpath(path.c_str(), buffer) != nullptr)
      printf("same in a buffer %d\n", strcmp(buffer, made) == 0);
    free(made);
  }
  errno = 0;
  printf("of NULL: %s\n", realpath(nullptr, nullptr) == nullptr ? outcome(-1).c_str() : "ok");
  return 0;
}

int cwd_command(const Arguments& a) {
  char* start = getcwd(nullptr, 0);
  for (const std::string& path : a) {
    printf("chdir %s: %s\n", path.c_str(), outcome(chdir(path.c_str())).c_str());
    char* here = getcwd(nullptr, 0);
    const bool below = here != nullptr && strncmp(here, start, strlen(start)) == 0;
    printf("getcwd START%s\n", below ? here + strlen(start) : "?");
    char exact[PATH_MAX];
    if (here != nullptr) {
      printf("too small: %s\n", outcome(getcwd(exact, strlen(here)) == nullptr ? -1 : 0).c_str());
      printf("just right: %s\n",
             outcome(getcwd(exact, strlen(here) + 1) == nullptr ? -1 : 0).c_str());
    }
    printf("of no size: %s\n", outcome(getcwd(exact, 0) == nullptr ? -1 : 0).c_str());
    setenv("PWD", "/nowhere", 1);
    char* name = get_current_dir_name();
    printf("by name %d\n", name != nullptr && here != nullptr && strcmp(name, here) == 0);
    free(name);
    free(here);
  }
  free(start);
  return 0;
}

// temp DIR: names are made in it and found in it.
int temp_command(const Arguments& a) {
  std::string pattern = a[0] + "/made.XXXXXX";
  const int fd = mkstemp(pattern.data());
  struct stat st;
  printf("mkstemp %s, there %d, cloexec %d\n", outcome(fd).c_str(), stat(pattern.c_str(), &st) == 0,
         fcntl(fd, F_GETFD));
  printf("mode %o\n", st.st_mode & 07777);
  unlink(pattern.c_str());
  std::string suffixed = a[0] + "/made.XXXXXX.c";
  const int second = mkostemps(suffixed.data(), 2, O_CLOEXEC | O_APPEND);
  printf("mkostemps %s flags %o cloexec %d\n", outcome(second).c_str(),
         fcntl(second, F_GETFL) & (O_APPEND | O_ACCMODE), fcntl(second, F_GETFD));
  unlink(suffixed.c_str());
  std::string dir = a[0] + "/made.XXXXXX";
  printf("mkdtemp %s\n", outcome(mkdtemp(dir.data()) != nullptr ? 0 : -1).c_str());
  printf("rmdir %s\n", outcome(rmdir(dir.c_str())).c_str());
  char bad[] = "no-pattern";
  printf("bad pattern: %s\n", outcome(mkstemp(bad)).c_str());
  setenv("TMPDIR", a[0].c_str(), 1);
  char* name = tempnam("/nowhere", "abcdefgh");
  printf("tempnam in TMPDIR %d, prefix %d, free %d\n",
         strncmp(name, a[0].c_str(), a[0].size()) == 0,
         strstr(name, "/abcde") != nullptr && strlen(strrchr(name, '/')) == strlen("/abcdeXXXXXX"),
         access(name, F_OK) != 0);
  free(name);
  FILE* f = tmpfile();
  printf("tmpfile %d, links %d\n", f != nullptr,
         fstat(fileno(f), &st) == 0 ? static_cast<int>(st.st_nlink) : -1);
  fclose(f);
  return 0;
}

int misc_command(const Arguments& a) {
  const char* path = a[0].c_str();
  struct statvfs vfs = {};
  struct stat st;
  printf("statvfs %s", outcome(statvfs(path, &vfs)).c_str());
  printf(", names %lu\n", vfs.f_namemax);
  printf("pathconf %ld\n", pathconf(path, _PC_NAME_MAX));
  printf("pathconf of nothing: %s\n", outcome(pathconf("nowhere", _PC_NAME_MAX)).c_str());
  printf("ftok of nothing: %s\n", outcome(ftok("nowhere", 1)).c_str());
  printf("ftok is stable %d\n", ftok(path, 1) == ftok(path, 1));
  const timeval times[2] = {{1000, 5}, {2000, 999999}};
  printf("lutimes %s", outcome(lutimes(path, times)).c_str());
  printf(" mtime %ld\n",
         lstat(path, &st) == 0 ? st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000 : -1);
  const timeval wrong[2] = {{1000, 5}, {2000, 1000000}};
  printf("lutimes of no time: %s\n", outcome(lutimes(path, wrong)).c_str());
  const int fd = open(path, O_RDONLY);
  printf("futimes %s", outcome(futimes(fd, nullptr)).c_str());
  printf(" changed %d\n", fstat(fd, &st) == 0 && st.st_mtim.tv_sec > 2000);
  printf("utimensat of NULL: %s\n", outcome(utimensat(fd, nullptr, nullptr, 0)).c_str());
  printf("futimens of -1: %s\n", outcome(futimens(-1, nullptr)).c_str());
  close(fd);
  printf("lchmod of a file: %s\n", outcome(lchmod(path, 0640)).c_str());
  printf("mode %o\n", stat(path, &st) == 0 ? st.st_mode & 07777 : 0);
  printf("eaccess %s\n", outcome(eaccess(path, W_OK)).c_str());
  printf("remove of a directory: %s\n", outcome(remove(a[1].c_str())).c_str());
  printf("remove of nothing: %s\n", outcome(remove("nowhere")).c_str());
  printf("remove of a full directory: %s\n", outcome(remove(a[2].c_str())).c_str());
  return 0;
}

// The numbers of new descriptors, and what /proc/self/fd shows.
int descriptors_command(const Arguments& a) {
  const int lowest = open("/dev/null", O_RDONLY);
  close(lowest);
  for (const std::string& path : a) {
    for (int flags : {O_RDONLY, O_RDWR, O_PATH}) {
      const int fd = open(path.c_str(), flags);
      printf("%s %d: %s lowest %d\n", path.c_str(), flags, outcome(fd).c_str(), fd == lowest);
      if (fd >= 0) close(fd);
    }
    FILE* f = fopen(path.c_str(), "r");
    if (f != nullptr) {
      printf("fopen lowest %d\n", fileno(f) == lowest);
      fclose(f);
    }
    struct stat st;
    lstat(path.c_str(), &st);
  }
  DIR* dir = opendir("/proc/self/fd");
  int count = 0;
  while (struct dirent* e = readdir(dir)) count += e->d_name[0] != '.';
  closedir(dir);
  printf("%d descriptors\n", count - 1);  // without the stream's own
  return 0;
}

// Calls that succeed leave errno alone.
int errno_command(const Arguments& a) {
  const char* path = a[0].c_str();
  struct stat st;
  errno = 1234;
  const int fd = open(path, O_RDONLY);
  printf("open %d\n", errno);
  stat(path, &st);
  printf("stat %d\n", errno);
  fstat(fd, &st);
  close(fd);
  FILE* f = fopen(path, "r+");
  printf("fopen %d\n", errno);
  fclose(f);
  DIR* dir = opendir(a[1].c_str());
  while (readdir(dir) != nullptr) continue;
  closedir(dir);
  printf("readdir %d\n", errno);
  mkdir((a[1] + "/fresh").c_str(), 0755);
  rename((a[1] + "/fresh").c_str(), (a[1] + "/renamed").c_str());
  rmdir((a[1] + "/renamed").c_str());
  printf("names %d\n", errno);
  free(getcwd(nullptr, 0));
  printf("getcwd %d\n", errno);
  return 0;
}

}  // namespace

const Entry kFileCommands[] = {{"fopen", fopen_command},
                               {"wide", wide_command},
                               {"freopen", freopen_command},
                               {"spellings", spellings_command},
                               {"realpath", realpath_command},
                               {"cwd", cwd_command},
                               {"temp", temp_command},
                               {"misc", misc_command},
                               {"descriptors", descriptors_command},
                               {"errno", errno_command},
                               {nullptr, nullptr}};
