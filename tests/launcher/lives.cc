// Programs that are killed in the middle of calls, for lives_test.py.
//
//   lives run DIR CYCLES SEED CHILD   starts CHILD again and again and kills most of what it starts
//   lives child DIR THREADS           makes calls, and writes a byte to descriptor 1 after each
//
// `run` says "ready" and waits for a line; says "done" after its cycles, and from then on makes
// some calls for each line that it gets.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

void make_calls(const std::string& directory, int rounds) {
  const std::string mine = directory + "/" + std::to_string(gettid());
  struct stat st;
  char text[4096];
  for (int i = 0; i < rounds; i++) {
    const int fd = open(mine.c_str(), O_RDWR | O_CREAT, 0644);
    (void)!write(1, ".", 1);
    stat((directory + "/file").c_str(), &st);
    (void)!write(1, ".", 1);
    rename(mine.c_str(), (mine + ".new").c_str());
    (void)!write(1, ".", 1);
    (void)!chdir(i % 2 ? directory.c_str() : "..");
    (void)!getcwd(text, sizeof text);
    (void)!write(1, ".", 1);
    close(open((directory + "/file").c_str(), O_RDONLY));
    unlink((mine + ".new").c_str());
    (void)!write(1, ".", 1);
    close(fd);
  }
}

int child(const char* directory, int threads) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back(make_calls, directory, 3);
  make_calls(directory, 3);
  for (std::thread& other : others) other.join();
  return 0;
}

struct Started {
  pid_t pid;
  int output;
};

Started start(const char* program, const char* directory, bool threads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], 1);
    execl(program, program, "child", directory, threads ? "4" : "1", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

// Kills it after so many of its steps, or lets it end.
bool finish(const Started& started, size_t steps) {
  char c;
  bool kill_it = false;
  for (size_t i = 0; i < steps && !kill_it; i++)
    kill_it = read(started.output, &c, 1) == 1 && i + 1 == steps;
  if (kill_it || steps == 0) kill(started.pid, SIGKILL);
  while (read(started.output, &c, 1) == 1) {
  }
  close(started.output);
  int status = 0;
  waitpid(started.pid, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0;
}

int run(const char* directory, int cycles, unsigned seed, const char* program) {
  char line[64];
  printf("ready\n");
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin)) return 2;
  std::mt19937 random(seed);
  constexpr int kAtOnce = 3;
  for (int cycle = 0; cycle < cycles; cycle += kAtOnce) {
    std::vector<Started> all;
    for (int i = 0; i < kAtOnce; i++) all.push_back(start(program, directory, random() % 2 == 0));
    for (const Started& one : all) {
      if (finish(one, random() % 24)) continue;
      printf("a child ended otherwise\n");
      return 1;
    }
  }
  printf("done\n");
  fflush(stdout);
  const int devnull = open("/dev/null", O_WRONLY);
  const int output = dup(1);
  while (fgets(line, sizeof line, stdin)) {
    dup2(devnull, 1);
    make_calls(directory, 1);
    dup2(output, 1);
    printf("went on\n");
    fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 4 && strcmp(argv[1], "child") == 0) return child(argv[2], atoi(argv[3]));
  if (argc == 6 && strcmp(argv[1], "run") == 0)
    return run(argv[2], atoi(argv[3]), static_cast<unsigned>(atoi(argv[4])), argv[5]);
  return 2;
}
