// Single calls of a program that nothing can be loaded into: see micro.md. Linked static, and
// without Google Benchmark, which has no static library everywhere. Run by bench/run, natively and
// below the others. BENCH_DIR as in micro.cc. trapped NAME...: prints each with nanoseconds a call;
// trapped --nothing: the program that is spawned.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>

extern char** environ;

namespace {

constexpr double kLeast = 100e6;  // nanoseconds that each is measured for

std::string in(const char* name) { return std::string(getenv("BENCH_DIR")) + "/" + name; }

double now() {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return static_cast<double>(at.tv_sec) * 1e9 + static_cast<double>(at.tv_nsec);
}

void require(bool held, const char* what) {
  if (held) return;
  perror(what);
  exit(1);
}

void stat_once() {
  static const std::string path = in("deep/a/b/c/d/f");
  struct stat st;
  require(stat(path.c_str(), &st) == 0, "stat");
}

void absent_once() {
  static const std::string path = in("deep/a/b/c/d/none");
  struct stat st;
  require(stat(path.c_str(), &st) != 0, "stat of an absent name");
}

void open_once() {
  static const std::string path = in("deep/a/b/c/d/f");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, "open");
  close(fd);
}

void create_once() {
  static const std::string path = in("deep/a/b/c/d/created");
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  require(fd >= 0, "create");
  close(fd);
  require(unlink(path.c_str()) == 0, "unlink");
}

void spawn(const char* const argv[]) {
  pid_t pid;
  int status = 1;
  if (posix_spawn(&pid, argv[0], nullptr, nullptr, const_cast<char* const*>(argv), environ) == 0)
    waitpid(pid, &status, 0);
  require(status == 0, argv[0]);
}

void exec_static_once() {
  static const char* const argv[] = {"/proc/self/exe", "--nothing", nullptr};
  spawn(argv);
}

void exec_dynamic_once() {
  static const char* const argv[] = {"/bin/true", nullptr};
  spawn(argv);
}

constexpr struct {
  const char* name;
  void (*once)();
} kAll[] = {{"trapped_stat", stat_once},
            {"trapped_absent", absent_once},
            {"trapped_open_close", open_once},
            {"trapped_create_unlink", create_once},
            {"trapped_exec_static", exec_static_once},
            {"trapped_exec_dynamic", exec_dynamic_once}};

void measure(const char* name, void (*once)()) {
  once();
  double spent = 0;
  long count = 0;
  for (long batch = 1; spent < kLeast; batch *= 2) {
    const double begin = now();
    for (long i = 0; i < batch; i++) once();
    spent += now() - begin;
    count += batch;
  }
  printf("%s %.1f\n", name, spent / static_cast<double>(count));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "--nothing") == 0) return 0;
  for (int i = 1; i < argc; i++)
    for (const auto& one : kAll)
      if (strcmp(one.name, argv[i]) == 0) measure(one.name, one.once);
}
