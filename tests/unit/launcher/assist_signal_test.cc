// The ptrace assist while signals, stops and kills arrive.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <random>

#include "tests/unit/launcher/assist_harness.h"

namespace ovl::testing {
namespace {

class AssistSignals : public AssistTest {};
INSTANTIATE_TEST_SUITE_P(, AssistSignals, kNotified, notified_name);

volatile sig_atomic_t handled;
void on_signal(int) { handled = handled + 1; }
void handle_signal(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(signal, &action, nullptr);
}

bool go_and_see(const char* shown, const char* real) {
  char cwd[PATH_MAX];
  return chdir(shown) == 0 && getcwd(cwd, sizeof(cwd)) != nullptr && strcmp(cwd, real) == 0;
}

// 0 when all went where they should.
int go_often(int times) {
  for (int i = 0; i < times; i++)
    if (!go_and_see(i % 2 == 0 ? "/virtual/usr" : "/virtual/etc", i % 2 == 0 ? "/usr" : "/etc"))
      return 1;
  return 0;
}

void spin(unsigned microseconds) {
  timespec start;
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000 <
           microseconds);
}

// A process that does something to the caller, entirely and again, until it is released.
struct Tormentor {
  pid_t pid;
  std::atomic<bool>* released;  // shared with it
};
Tormentor torment(const std::function<void(pid_t)>& deed) {
  const pid_t victim = getpid();
  void* shared = mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) abort();
  auto* released = new (shared) std::atomic<bool>(false);
  const pid_t pid = fork();
  if (pid == 0) {
    while (!*released && getppid() == victim) deed(victim);
    _exit(0);
  }
  return {pid, released};
}
// Killed, it could leave the victim stopped for ever.
void release(const Tormentor& tormentor) {
  *tormentor.released = true;
  while (waitpid(tormentor.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  munmap(tormentor.released, sizeof(std::atomic<bool>));
}
void end(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

// In microseconds. Without WAIT_KILLABLE_RECV no call gets on when stops come faster than answers.
unsigned pause_between_stops() {
  return AssistSignals::GetParam() == Notified::kKillable ? 0 : 1000;
}

TEST_P(AssistSignals, HandlersRunAndTheCallIsMade) {
  const bool killable = GetParam() == Notified::kKillable;
  EXPECT_EQ(run([killable] {
              handle_signal(SIGUSR1, on_signal, SA_RESTART);
              handle_signal(SIGALRM, on_signal, SA_RESTART);
              // Without WAIT_KILLABLE_RECV no call gets on when signals come faster than answers.
              const itimerval often = {{0, 500}, {0, 500}};
              Tormentor tormentor = {};
              if (killable) {
                tormentor = torment([](pid_t victim) { kill(victim, SIGUSR1); });
              } else {
                setitimer(ITIMER_REAL, &often, nullptr);
              }
              int bad = go_often(1000);
              while (handled == 0) bad |= go_often(1);
              if (killable) release(tormentor);
              return bad;
            }),
            0);
}

TEST_P(AssistSignals, HandlersThatDontRestartSeeNoEintrFromAChdir) {
  if (GetParam() == Notified::kInterruptible)
    GTEST_SKIP() << "before Linux 5.19 the notification itself gives EINTR";
  EXPECT_EQ(run([] {
              handle_signal(SIGUSR1, on_signal, 0);
              const Tormentor tormentor = torment([](pid_t victim) { kill(victim, SIGUSR1); });
              // The time between the call and the supervisor's receiving it is interruptible.
              int bad = 0;
              for (int done = 0; done < 300; done++) {
                while (chdir("/virtual/usr") != 0)
                  if (errno != EINTR) bad = 1;
              }
              release(tormentor);
              return bad;
            }),
            0);
}

TEST_P(AssistSignals, IgnoredSignalsDontShow) {
  EXPECT_EQ(run([] {
              signal(SIGUSR1, SIG_IGN);
              const Tormentor tormentor = torment([](pid_t victim) {
                kill(victim, SIGUSR1);
                kill(victim, SIGURG);
              });
              const int bad = go_often(500);
              release(tormentor);
              return bad;
            }),
            0);
}

TEST_P(AssistSignals, BlockedSignalsStayBlocked) {
  EXPECT_EQ(run([] {
              handle_signal(SIGUSR1, on_signal, 0);
              sigset_t usr1;
              sigset_t old;
              sigset_t now;
              sigemptyset(&usr1);
              sigaddset(&usr1, SIGUSR1);
              sigprocmask(SIG_BLOCK, &usr1, &old);
              kill(getpid(), SIGUSR1);
              if (go_often(3) != 0 || handled != 0) return 1;
              sigprocmask(SIG_BLOCK, nullptr, &now);
              if (memcmp(&now, &usr1, 8) != 0) return 2;
              sigprocmask(SIG_SETMASK, &old, nullptr);
              return handled == 1 ? 0 : 3;
            }),
            0);
}

TEST_P(AssistSignals, StopsAndContinues) {
  const unsigned pause = pause_between_stops();
  EXPECT_EQ(run([pause] {
              const Tormentor tormentor = torment([pause](pid_t victim) {
                kill(victim, SIGSTOP);
                kill(victim, SIGCONT);
                spin(pause);
              });
              const int bad = go_often(500);
              release(tormentor);
              return bad;
            }),
            0);
}

TEST_P(AssistSignals, TerminalStopsOfAProcessWithThreads) {
  const unsigned pause = pause_between_stops();
  EXPECT_EQ(run([pause] {
              setpgid(0, 0);
              std::atomic<bool> over = false;
              std::thread other([&over] {
                while (!over) go_and_see("/virtual/usr", "/usr");
              });
              const Tormentor tormentor = torment([pause](pid_t victim) {
                setpgid(0, 0);
                kill(victim, SIGTSTP);
                kill(victim, SIGCONT);
                spin(pause);
              });
              int bad = 0;
              for (int i = 0; i < 300; i++) bad |= chdir("/virtual/usr");
              release(tormentor);
              over = true;
              other.join();
              return bad;
            }),
            0);
}

TEST_P(AssistSignals, StopIsSeenByTheParentAndLasts) {
  EXPECT_EQ(run([] {
              for (int round = 0; round < 30; round++) {
                const pid_t pid = fork();
                if (pid == 0)
                  for (;;)
                    if (!go_and_see("/virtual/usr", "/usr")) _exit(1);
                for (int i = 0; i < 5; i++) {
                  int status = 0;
                  kill(pid, SIGSTOP);
                  if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) return 1;
                  if (WSTOPSIG(status) != SIGSTOP) return 2;
                  kill(pid, SIGCONT);
                  if (waitpid(pid, &status, WCONTINUED) != pid || !WIFCONTINUED(status)) return 3;
                }
                end(pid);
              }
              return 0;
            }),
            0);
}

int descriptors() {
  int n = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) n++;
  closedir(dir);
  return n;
}

TEST_P(AssistSignals, KilledAtAnyMoment) {
  const int before = descriptors();
  EXPECT_EQ(run([] {
              std::minstd_rand random(static_cast<unsigned>(time(nullptr)));
              for (int round = 0; round < 500; round++) {
                const pid_t pid = fork();
                if (pid == 0) {
                  for (int i = 0;; i++) {
                    const char* const list[] = {"sh", nullptr};
                    const char* path = round % 3 == 0 ? "/virtual/bin/true" : "/virtual/absent";
                    chdir("/virtual/usr");
                    if (i == round % 7) execv(path, const_cast<char**>(list));
                  }
                }
                spin(random() % 500);
                kill(pid, SIGKILL);
                int status = 0;
                if (waitpid(pid, &status, 0) != pid) return 1;
                const bool ran = WIFEXITED(status) && WEXITSTATUS(status) == 0;
                if (!ran && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) return 2;
              }
              return 0;
            }),
            0);
  EXPECT_EQ(descriptors(), before);
}

TEST_P(AssistSignals, ProcessWithThreadsKilledAtAnyMoment) {
  EXPECT_EQ(run([] {
              std::minstd_rand random(static_cast<unsigned>(time(nullptr)));
              for (int round = 0; round < 100; round++) {
                const pid_t pid = fork();
                if (pid == 0) {
                  const auto work = [] {
                    for (;;) chdir("/virtual/usr");
                  };
                  std::thread one(work);
                  std::thread two(work);
                  work();
                }
                spin(random() % 2000);
                kill(pid, SIGKILL);
                int status = 0;
                if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) return 1;
              }
              return 0;
            }),
            0);
}

// Opening a FIFO blocks until the other end is opened.
class AssistFifo : public AssistTest {
 protected:
  AssistFifo() {
    if (mkdtemp(dir_) == nullptr) abort();
    path_ = std::string(dir_) + "/fifo";
    shown_ = "/virtual" + path_;
    if (mkfifo(path_.c_str(), 0600) != 0) abort();
  }
  ~AssistFifo() override {
    unlink(path_.c_str());
    rmdir(dir_);
  }
  char dir_[32] = "/tmp/ovl-assist-XXXXXX";
  std::string path_;
  std::string shown_;
};
INSTANTIATE_TEST_SUITE_P(, AssistFifo, kNotified, notified_name);

const char* fifo;
void open_other_end(int) {
  handled = handled + 1;
  if (handled == 4) (void)!open(fifo, O_RDWR | O_NONBLOCK);
}
const itimerval kTicking = {{0, 10000}, {0, 10000}};

TEST_P(AssistFifo, AHandlerInterruptsTheOpen) {
  EXPECT_EQ(run([this] {
              handle_signal(SIGALRM, on_signal, 0);
              setitimer(ITIMER_REAL, &kTicking, nullptr);
              if (open(shown_.c_str(), O_RDONLY) != -1 || errno != EINTR) return 1;
              return handled > 0 ? 0 : 2;
            }),
            0);
}

TEST_P(AssistFifo, AHandlerThatRestartsDoesNotEndTheOpen) {
  SKIP_BELOW_THREAD_SANITIZER("runs handlers only when a call has returned");
  EXPECT_EQ(run([this] {
              fifo = path_.c_str();
              handle_signal(SIGALRM, open_other_end, SA_RESTART);
              setitimer(ITIMER_REAL, &kTicking, nullptr);
              if (open(shown_.c_str(), O_RDONLY) < 0) return 1;
              return handled >= 4 ? 0 : 2;
            }),
            0);
}

TEST_P(AssistFifo, ARestartIsNotLostWithTheSignalThatCausedIt) {
  SKIP_BELOW_THREAD_SANITIZER("runs handlers only when a call has returned");
  EXPECT_EQ(run([this] {
              // With its slot taken, memory is mapped for each call and unmapped after it.
              if (mmap(reinterpret_cast<void*>(kNativeTable.slots), 4096, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
                return 1;
              // The other thread, woken for one of them, also takes the other.
              handle_signal(SIGUSR1, on_signal, SA_RESTART);
              handle_signal(SIGUSR2, on_signal, SA_RESTART);
              const Tormentor tormentor = torment([](pid_t victim) {
                static std::minstd_rand random(1);
                kill(victim, SIGUSR1);
                spin(random() % 100);
                kill(victim, SIGUSR2);
                spin(300);
              });
              std::atomic<bool> over = false;
              std::thread other([&over, this] {
                while (handled < 1000) getppid();
                const int end = open(path_.c_str(), O_RDWR | O_NONBLOCK);
                while (!over) getppid();
                close(end);
              });
              const int fd = open(shown_.c_str(), O_RDONLY);
              const int error = errno;
              release(tormentor);
              over = true;
              handled = 1000;
              other.join();
              return fd >= 0 ? 0 : error > 255 ? 255 : error;
            }),
            0);
}

TEST_P(AssistFifo, ManyMayWaitAtOnceAndBeStopped) {
  EXPECT_EQ(run([this] {
              pid_t pids[4];
              for (pid_t& pid : pids) {
                pid = fork();
                if (pid == 0) _exit(open(shown_.c_str(), O_WRONLY) >= 0 ? 7 : 1);
              }
              for (const pid_t pid : pids) {
                int status = 0;
                kill(pid, SIGSTOP);
                if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) return 1;
                kill(pid, SIGCONT);
              }
              const int reader = open(path_.c_str(), O_RDWR);
              for (const pid_t pid : pids) {
                int status = 0;
                if (waitpid(pid, &status, 0) != pid || status != 7 << 8) return 2;
              }
              close(reader);
              return 0;
            }),
            0);
}

TEST_P(AssistFifo, KilledWhileItWaits) {
  EXPECT_EQ(run([this] {
              for (int round = 0; round < 50; round++) {
                const pid_t pid = fork();
                if (pid == 0) _exit(open(shown_.c_str(), O_WRONLY) >= 0 ? 7 : 1);
                spin(static_cast<unsigned>(round) * 10);
                end(pid);
              }
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace ovl::testing
