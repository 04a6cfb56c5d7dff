// Single calls on a prepared tree: see micro.md. Run natively, and unchanged below ovlrun and its
// peers, by bench/run. BENCH_DIR: the tree (bench/run makes it): files/f0..f999, merged/f0..f999
// (one more is added here), deep/a/b/c/d/f.
#include <benchmark/benchmark.h>
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

extern char** environ;

namespace {

std::string in(const char* name) { return std::string(getenv("BENCH_DIR")) + "/" + name; }

void require(bool held, benchmark::State& state, const char* what) {
  if (!held) state.SkipWithError(what);
}

void BM_stat(benchmark::State& state) {
  const std::string path = in("deep/a/b/c/d/f");
  struct stat st;
  for (auto _ : state) require(stat(path.c_str(), &st) == 0, state, "stat");
}
BENCHMARK(BM_stat);

void BM_stat_absent(benchmark::State& state) {
  const std::string path = in("deep/a/b/c/d/none");
  struct stat st;
  for (auto _ : state) require(stat(path.c_str(), &st) != 0, state, "stat");
}
BENCHMARK(BM_stat_absent);

void BM_open_close(benchmark::State& state) {
  const std::string path = in("deep/a/b/c/d/f");
  for (auto _ : state) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    require(fd >= 0, state, "open");
    close(fd);
  }
}
BENCHMARK(BM_open_close);

void BM_fstat(benchmark::State& state) {
  const int fd = open(in("files/f1").c_str(), O_RDONLY | O_CLOEXEC);
  struct stat st;
  for (auto _ : state) require(fstat(fd, &st) == 0, state, "fstat");
  close(fd);
}
BENCHMARK(BM_fstat);

void BM_pread_4k(benchmark::State& state) {
  const int fd = open(in("files/f1").c_str(), O_RDONLY | O_CLOEXEC);
  char buffer[4096];
  for (auto _ : state) require(pread(fd, buffer, sizeof buffer, 0) >= 0, state, "pread");
  close(fd);
}
BENCHMARK(BM_pread_4k);

void list(benchmark::State& state, const std::string& path) {
  for (auto _ : state) {
    DIR* dir = opendir(path.c_str());
    require(dir != nullptr, state, "opendir");
    if (dir == nullptr) return;
    int count = 0;
    while (readdir(dir) != nullptr) count++;
    require(count >= 1002, state, "readdir");
    closedir(dir);
  }
}
void BM_readdir_1000(benchmark::State& state) { list(state, in("files")); }
BENCHMARK(BM_readdir_1000);

void BM_readdir_1000_merged(benchmark::State& state) {
  close(open(in("merged/new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  list(state, in("merged"));
}
BENCHMARK(BM_readdir_1000_merged);

void BM_create_unlink(benchmark::State& state) {
  const std::string path = in("deep/a/b/c/d/created");
  for (auto _ : state) {
    const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    require(fd >= 0, state, "create");
    close(fd);
    require(unlink(path.c_str()) == 0, state, "unlink");
  }
}
BENCHMARK(BM_create_unlink);

void BM_exec_true(benchmark::State& state) {
  const char* const argv[] = {"/bin/true", nullptr};
  for (auto _ : state) {
    pid_t pid;
    int status = 1;
    if (posix_spawn(&pid, argv[0], nullptr, nullptr, const_cast<char* const*>(argv), environ) == 0)
      waitpid(pid, &status, 0);
    require(status == 0, state, "exec");
  }
}
BENCHMARK(BM_exec_true)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
