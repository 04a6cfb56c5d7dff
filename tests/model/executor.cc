// model_executor DIRECTORY: performs the script on its standard input in the directory, and writes
// a line of observations for each line of it.
//
// A line is PROCESS OPERATION ARGUMENT...; the arguments of each operation are in operations.def.
// Process 0 is there from the beginning, the others are forked by `fork`. They act one at a time,
// in the order of the script; but lines PROCESS free OPERATION ARGUMENT... that follow one another
// are done by all their processes at once.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <map>

#include "tests/model/call.h"
#include "tests/model/words.h"

namespace model {
namespace {

// Longer than any sequence takes on a loaded machine: whatever hangs is ended, and seen as a short
// output.
constexpr unsigned kLongestRun = 30;

struct Channel {
  int commands[2];
  int answers[2];
};
Channel channels[kProcesses];
bool living[kProcesses];

void write_all(int fd, const void* from, size_t size) {
  const char* at = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t done = write(fd, at, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(3);
    at += done;
    size -= static_cast<size_t>(done);
  }
}

bool read_all(int fd, void* to, size_t size) {
  char* at = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t got = read(fd, at, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

void perform_line(Process* process, const std::string& line) {
  const std::vector<std::string> words = split(line);
  Observation seen;
  perform(process, {words.begin() + 1, words.end()}, &seen);
  const std::string text = seen.text() + "\n";
  write_all(STDOUT_FILENO, text.data(), text.size());
}

// In the size of a line: it is free.
constexpr uint32_t kFree = 1u << 31;

// Lines of processes that do not wait for one another; their answers, in the order of the script.
void run_freely(Process* first, const std::vector<std::string>& lines) {
  std::vector<size_t> processes;
  for (const std::string& line : lines) {
    const size_t process = static_cast<size_t>(number(split(line)[0])) % kProcesses;
    processes.push_back(process);
    if (process == 0 || living[process]) continue;
    living[process] = true;
    fflush(nullptr);
    if (fork() != 0) continue;
    first->number = static_cast<int>(process);
    serve(first);
  }
  for (size_t i = 0; i < lines.size(); i++) {
    const uint32_t size = static_cast<uint32_t>(lines[i].size()), marked = size | kFree;
    if (processes[i] == 0) continue;
    write_all(channels[processes[i]].commands[1], &marked, sizeof marked);
    write_all(channels[processes[i]].commands[1], lines[i].data(), size);
  }
  for (const size_t process : processes) {
    uint32_t size = 0;
    std::string text = " none=1\n";
    if (process != 0) {
      if (!read_all(channels[process].answers[0], &size, sizeof size)) _exit(3);
      text.resize(size);
      if (!read_all(channels[process].answers[0], text.data(), size)) _exit(3);
    }
    write_all(STDOUT_FILENO, text.data(), text.size());
  }
}

void answer_free_line(Process* process, const std::string& line, int to) {
  static bool free = false;
  if (!free) process->slots.fill(-1);  // they may be others', too
  free = true;
  const std::vector<std::string> words = split(line);
  Observation seen;
  perform_blindly(process, {words.begin() + 2, words.end()}, &seen);
  const std::string text = seen.text() + "\n";
  const uint32_t size = static_cast<uint32_t>(text.size());
  write_all(to, &size, sizeof size);
  write_all(to, text.data(), size);
}

std::string read_script() {
  std::string script;
  char room[1 << 14];
  for (ssize_t got; (got = read(STDIN_FILENO, room, sizeof room)) > 0;)
    script.append(room, static_cast<size_t>(got));
  return script;
}

int run() {
  for (Channel& channel : channels)
    if (pipe2(channel.commands, O_CLOEXEC) < 0 || pipe2(channel.answers, O_CLOEXEC) < 0) return 3;
  const std::string script = read_script();
  Process first;
  living[0] = true;
  alarm(kLongestRun);
  std::vector<std::string> lines, free;
  for (size_t at = 0; at < script.size();) {
    const size_t end = std::min(script.find('\n', at), script.size());
    if (end > at) lines.push_back(script.substr(at, end - at));
    at = end + 1;
  }
  for (size_t i = 0; i < lines.size(); i++) {
    const std::string& line = lines[i];
    const std::vector<std::string> words = split(line);
    if (words[1] == "free") {
      free.push_back(line);
      if (i + 1 < lines.size() && split(lines[i + 1])[1] == "free") continue;
      run_freely(&first, free);
      free.clear();
      continue;
    }
    const size_t process = static_cast<size_t>(number(words[0])) % kProcesses;
    const bool forks = words[1] == "fork";
    const size_t target = forks ? static_cast<size_t>(number(words[2])) % kProcesses : 0;
    if (!living[process] || (forks && living[target])) {
      write_all(STDOUT_FILENO, " none=1\n", 8);
      continue;
    }
    if (forks) living[target] = true;
    if (process == 0) {
      perform_line(&first, line);
      continue;
    }
    const uint32_t size = static_cast<uint32_t>(line.size());
    write_all(channels[process].commands[1], &size, sizeof size);
    write_all(channels[process].commands[1], line.data(), size);
    char done;
    if (!read_all(channels[process].answers[0], &done, 1)) return 3;
  }
  for (size_t i = 1; i < kProcesses; i++) {
    if (!living[i]) continue;
    const uint32_t stop = 0;
    write_all(channels[i].commands[1], &stop, sizeof stop);
    char done;
    read_all(channels[i].answers[0], &done, 1);
  }
  return 0;
}

}  // namespace

void serve(Process* process) {
  const Channel& channel = channels[process->number];
  alarm(kLongestRun);
  for (;;) {
    uint32_t size = 0;
    if (!read_all(channel.commands[0], &size, sizeof size)) _exit(3);
    const bool free = (size & kFree) != 0;
    size &= ~kFree;
    std::string line(size, '\0');
    if (free) {
      if (!read_all(channel.commands[0], line.data(), size)) _exit(3);
      answer_free_line(process, line, channel.answers[1]);
      continue;
    }
    if (size > 0) {
      if (!read_all(channel.commands[0], line.data(), size)) _exit(3);
      perform_line(process, line);
    }
    write_all(channel.answers[1], "", 1);
    if (size == 0) {
      while (wait(nullptr) > 0) {
      }
      _exit(0);
    }
  }
}

}  // namespace model

int main(int argc, char** argv) {
  // Nothing shall be done in any other directory.
  if (argc != 2 || t_chdir(argv[1]) < 0) return 4;
  signal(SIGCHLD, SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  umask(022);
  const int status = model::run();
  while (wait(nullptr) > 0) {
  }
  return status;
}
