// The ptrace assist: what a task carries out, and what it can see of it. Signals:
// assist_signal_test.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/launcher/assist_harness.h"

namespace ovl::testing {
namespace {

class AssistCalls : public AssistTest {};
INSTANTIATE_TEST_SUITE_P(, AssistCalls, kNotified, notified_name);

bool cwd_is(const char* path) {
  char cwd[PATH_MAX];
  return getcwd(cwd, sizeof(cwd)) != nullptr && strcmp(cwd, path) == 0;
}

// Waits for a child; its exit status, or -1.
int exit_status(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

const char* const kSh[] = {"sh", "-c",  "test \"$ASSISTED\" = 1 && test \"$1\" = one && exit 77",
                           "sh", "one", nullptr};
char** arguments(const char* const* list) { return const_cast<char**>(list); }

TEST_P(AssistCalls, ChdirGoesElsewhere) {
  EXPECT_EQ(run([] {
              if (chdir("/virtual/usr") != 0) return 1;
              if (!cwd_is("/usr")) return 2;
              if (chdir("/virtual/absent") != -1 || errno != ENOENT) return 3;
              if (!cwd_is("/usr")) return 4;
              return chdir("/") == 0 && chdir("/virtual/usr") == 0 && cwd_is("/usr") ? 0 : 5;
            }),
            0);
  EXPECT_EQ(supervised_.count(Assisted::kDone), 3);
}

TEST_P(AssistCalls, ExecHasOtherArguments) {
  EXPECT_EQ(run([] {
              execve("/virtual/bin/sh", arguments(kSh), environ);
              return 1;
            }),
            77);
}

TEST_P(AssistCalls, ExecHasNoArguments) {
  EXPECT_EQ(run([] {
              syscall(SYS_execve, "/virtual/bin/true", nullptr, nullptr);
              return 1;
            }),
            0);
}

TEST_P(AssistCalls, ExecThatFailsReturns) {
  EXPECT_EQ(run([] {
              execve("/virtual/etc/passwd", arguments(kSh), environ);
              if (errno != EACCES) return 1;
              execve("/virtual/absent", arguments(kSh), environ);
              if (errno != ENOENT) return 2;
              return chdir("/virtual/usr") == 0 && cwd_is("/usr") ? 0 : 3;
            }),
            0);
}

TEST_P(AssistCalls, ExecatBecomesExec) {
  EXPECT_EQ(run([] {
              syscall(SYS_execveat, AT_FDCWD, "/virtual/bin/sh", kSh, environ, 0);
              return 1;
            }),
            77);
}

TEST_P(AssistCalls, ExecWithLongArguments) {
  EXPECT_EQ(run([] {
              const std::string part(100000, 'x');
              const char* const list[] = {
                  "sh",
                  "-c",
                  "test ${#1} = 100000 && test ${#2} = 100000 && test $ASSISTED = 1",
                  "sh",
                  part.c_str(),
                  part.c_str(),
                  nullptr};
              for (int i = 0; i < 3; i++) {  // what was mapped for it goes again
                execve("/virtual/etc/passwd", arguments(list), environ);
                if (errno != EACCES) return 1;
                if (chdir("/virtual/usr") != 0) return 2;
              }
              const pid_t pid = fork();
              if (pid == 0) execve("/virtual/bin/sh", arguments(list), environ);
              return exit_status(pid);
            }),
            0);
}

TEST_P(AssistCalls, ExecOfAThreadThatIsNotTheFirst) {
  EXPECT_EQ(run([] {
              std::thread bystander([] { pause(); });
              std::thread([] { execve("/virtual/bin/sh", arguments(kSh), environ); }).join();
              bystander.join();
              return 1;
            }),
            77);
}

TEST_P(AssistCalls, ExecTakesOtherThreadsAwayInTheirCalls) {
  EXPECT_EQ(run([] {
              for (int round = 0; round < 50; round++) {
                const pid_t pid = fork();
                if (pid == 0) {
                  std::atomic<int> busy = 0;
                  const auto work = [&busy] {
                    for (int i = 0;; i++) {
                      if (chdir("/virtual/usr") != 0) _exit(1);
                      if (i == 0) busy++;
                    }
                  };
                  std::thread one(work);
                  std::thread two([&busy, round] {
                    while (busy < 2) sched_yield();
                    if (round % 2 == 0) execve("/virtual/bin/sh", arguments(kSh), environ);
                    execve("/bin/true", arguments(kSh), environ);
                  });
                  work();
                }
                const int status = exit_status(pid);
                if (status != (round % 2 == 0 ? 77 : 0)) return status == 0 ? 2 : 3;
              }
              return 0;
            }),
            0);
}

TEST_P(AssistCalls, ThreadsEachGetTheirs) {
  EXPECT_EQ(run([] {
              std::vector<std::thread> threads;
              std::atomic<int> bad = 0;
              for (int t = 0; t < 4; t++) {
                threads.emplace_back([t, &bad] {
                  unshare(CLONE_FS);
                  for (int i = 0; i < 200; i++) {
                    if (chdir(t % 2 == 0 ? "/virtual/usr" : "/virtual/etc") != 0) bad++;
                    if (!cwd_is(t % 2 == 0 ? "/usr" : "/etc")) bad++;
                  }
                });
              }
              for (std::thread& thread : threads) thread.join();
              return bad.load() == 0 ? 0 : 1;
            }),
            0);
}

TEST_P(AssistCalls, VforkChildSharesItsParentsMemory) {
  EXPECT_EQ(run([] {
              const std::string part(100000, 'x');
              const char* const list[] = {"true", part.c_str(), nullptr};
              for (int i = 0; i < 20; i++) {
                const pid_t pid = vfork();
                if (pid == 0) {
                  // NOLINTNEXTLINE(clang-analyzer-unix.Vfork): a raw call, as in programs without a
                  // libc
                  syscall(SYS_chdir, "/virtual/usr");
                  syscall(SYS_execve, "/virtual/bin/true", i % 2 == 0 ? kSh : list, environ);
                  _exit(1);
                }
                if (exit_status(pid) != 0) return 1;
                if (cwd_is("/usr")) return 2;
              }
              return chdir("/virtual/usr") == 0 && cwd_is("/usr") ? 0 : 3;
            }),
            0);
}

// As Go runs its calls: on a stack in the heap, with other things right below.
constexpr size_t kTinyStack = 4096;
constexpr size_t kAround = 16 * kTinyStack;
int on_tiny_stack(void*) {
  long result = SYS_chdir;
  __asm__ volatile("syscall" : "+a"(result) : "D"("/virtual/usr") : "rcx", "r11", "memory");
  return result == 0 ? 0 : 1;
}

TEST_P(AssistCalls, StackIsLeftAlone) {
  SKIP_BELOW_THREAD_SANITIZER("needs more stack");
  EXPECT_EQ(run([] {
              std::string heap(2 * kAround + kTinyStack, '\xa5');
              char* top = heap.data() + kAround + kTinyStack;
              top -= reinterpret_cast<uintptr_t>(top) % 16;
              const pid_t pid = clone(on_tiny_stack, top, CLONE_VM | CLONE_FS | SIGCHLD, nullptr);
              if (exit_status(pid) != 0) return 1;
              if (!cwd_is("/usr")) return 2;
              // The function itself needs some of it.
              const size_t own = 512;
              const char* low = top - own;
              for (const char* p = heap.data(); p < low; p++)
                if (*p != '\xa5') return 3;
              for (const char* p = top + 16; p < heap.data() + heap.size(); p++)
                if (*p != '\xa5') return 4;
              return 0;
            }),
            0);
}

struct All {
  unsigned long rax, rbx, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags, next;
};
// One system call; `all` has the registers before and then those after.
void call_with(All& all) {
  All* at = &all;
  __asm__ volatile(
      "push %%rbp\n"
      "push %[all]\n"
      "mov %[all], %%rbp\n"
      "mov 8(%%rbp), %%rbx\n mov 24(%%rbp), %%rdx\n mov 32(%%rbp), %%rsi\n mov 40(%%rbp), %%rdi\n"
      "mov 48(%%rbp), %%r8\n mov 56(%%rbp), %%r9\n mov 64(%%rbp), %%r10\n"
      "mov 80(%%rbp), %%r12\n mov 88(%%rbp), %%r13\n mov 96(%%rbp), %%r14\n"
      "mov 104(%%rbp), %%r15\n mov 0(%%rbp), %%rax\n"
      "pushq 112(%%rbp)\n popfq\n"
      "syscall\n"
      "1:\n"
      "pushfq\n popq 112(%%rbp)\n cld\n"
      "mov %%rax, 0(%%rbp)\n mov %%rbx, 8(%%rbp)\n mov %%rcx, 16(%%rbp)\n mov %%rdx, 24(%%rbp)\n"
      "mov %%rsi, 32(%%rbp)\n mov %%rdi, 40(%%rbp)\n mov %%r8, 48(%%rbp)\n mov %%r9, 56(%%rbp)\n"
      "mov %%r10, 64(%%rbp)\n mov %%r11, 72(%%rbp)\n mov %%r12, 80(%%rbp)\n"
      "mov %%r13, 88(%%rbp)\n mov %%r14, 96(%%rbp)\n mov %%r15, 104(%%rbp)\n"
      "lea 1b(%%rip), %%rax\n mov %%rax, 120(%%rbp)\n"
      "pop %[all]\n"
      "pop %%rbp\n"
      : [all] "+a"(at)
      :
      : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "memory", "cc");
}

TEST_P(AssistCalls, RegistersAreAsAfterAnyCall) {
  EXPECT_EQ(run([] {
              const char* path = "/virtual/usr";
              const unsigned long flags = 0x200 | 0x2 | 0x1 | 0x400 | 0x800;  // IF, 1, CF, DF, OF
              const All before = {
                  SYS_chdir, 0xb0b,  0,      0xd1d, 0x515,  reinterpret_cast<uintptr_t>(path),
                  0x8888,    0x9999, 0x1010, 0,     0x1212, 0x1313,
                  0x1414,    0x1515, flags,  0};
              All after = before;
              call_with(after);
              if (after.rax != 0 || !cwd_is("/usr")) return 1;
              All expected = before;
              expected.rax = 0;
              expected.rcx = expected.next = after.next;
              expected.r11 = flags;
              return memcmp(&after, &expected, sizeof(after)) == 0 ? 0 : 2;
            }),
            0);
}

TEST_P(AssistCalls, MemoryOfTheProgramAtThatPlaceIsNotOurs) {
  EXPECT_EQ(run([] {
              const size_t size = 8ul << 20;
              auto* theirs = static_cast<char*>(
                  mmap(reinterpret_cast<void*>(kNativeTable.slots), size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
              if (theirs == MAP_FAILED) return 1;
              memset(theirs, 0x77, size);
              for (int i = 0; i < 3; i++)
                if (chdir("/virtual/usr") != 0 || !cwd_is("/usr") || chdir("/") != 0) return 2;
              for (size_t i = 0; i < size; i++)
                if (theirs[i] != 0x77) return 3;
              if (mprotect(theirs, size, PROT_NONE) != 0 || chdir("/virtual/usr") != 0) return 4;
              return cwd_is("/usr") ? 0 : 5;
            }),
            0);
}

TEST_P(AssistCalls, MemoryThatTheProgramUnmappedComesBack) {
  EXPECT_EQ(run([] {
              auto* slot = reinterpret_cast<void*>(kNativeTable.slots);
              for (int i = 0; i < 3; i++) {
                if (chdir("/virtual/usr") != 0 || !cwd_is("/usr") || chdir("/") != 0) return 1;
                if (munmap(slot, 64 << 10) != 0) return 2;
              }
              return 0;
            }),
            0);
}

TEST_P(AssistCalls, NoMemoryIsEnomem) {
  EXPECT_EQ(run([] {
              const rlimit none = {0, RLIM_INFINITY};
              if (setrlimit(RLIMIT_AS, &none) != 0) return 1;
              if (chdir("/virtual/usr") != -1 || errno != ENOMEM) return 2;
              const rlimit much = {RLIM_INFINITY, RLIM_INFINITY};
              if (setrlimit(RLIMIT_AS, &much) != 0) return 3;
              return chdir("/virtual/usr") == 0 && cwd_is("/usr") ? 0 : 4;
            }),
            0);
}

TEST_P(AssistCalls, SocketsAreReachedByOtherNames) {
  EXPECT_EQ(run([] {
              char dir[] = "/tmp/ovl-assist-XXXXXX";
              if (mkdtemp(dir) == nullptr) return 1;
              sockaddr_un bound = {};
              bound.sun_family = AF_UNIX;
              const std::string path = std::string(dir) + "/socket";
              strcpy(bound.sun_path, path.c_str());
              const int server = socket(AF_UNIX, SOCK_DGRAM, 0);
              if (bind(server, reinterpret_cast<sockaddr*>(&bound), sizeof(bound)) != 0) return 2;
              sockaddr_un shown = bound;
              strcpy(shown.sun_path, ("/virtual" + path).c_str());
              const auto* address = reinterpret_cast<const sockaddr*>(&shown);
              const int client = socket(AF_UNIX, SOCK_DGRAM, 0);
              int bad = 0;
              char got[8];
              if (sendto(client, "to", 2, 0, address, sizeof(shown)) != 2) bad = 3;
              if (bad == 0 && (read(server, got, 8) != 2 || memcmp(got, "to", 2) != 0)) bad = 4;
              if (connect(client, address, sizeof(shown)) != 0) bad = 5;
              if (bad == 0 && (write(client, "it", 2) != 2 || read(server, got, 8) != 2)) bad = 6;
              unlink(path.c_str());
              rmdir(dir);
              return bad;
            }),
            0);
}

TEST_P(AssistCalls, TracedTaskIsLeftToItsTracer) {
  EXPECT_EQ(run([] {
              const pid_t pid = fork();
              if (pid == 0) {
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                raise(SIGSTOP);
                _exit(chdir("/virtual/usr") == 0 ? 0 : errno);
              }
              int status = 0;
              if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return 1;
              ptrace(PTRACE_CONT, pid, 0, 0);
              return exit_status(pid) == EPERM ? 0 : 2;
            }),
            0);
  EXPECT_EQ(supervised_.count(Assisted::kRefused), 1);
  EXPECT_EQ(supervised_.count(Assisted::kDone), 0);
}

TEST_P(AssistCalls, ProgramOf32Bits) {
#ifdef OVLRUN_I386_PROGRAM
  const int status = run([] {
    execl(OVLRUN_I386_PROGRAM, "assist_i386", nullptr);
    return errno == ENOEXEC ? 125 : 126;
  });
  if (status == 125) GTEST_SKIP() << "the kernel runs no 32-bit programs";
  EXPECT_EQ(status, 77);
#else
  GTEST_SKIP() << "the compiler makes no 32-bit programs";
#endif
}

TEST_P(AssistCalls, CallOfThe32BitTableByAProgramOf64Bits) {
  static char path[] = "/virtual/usr";
  EXPECT_EQ(run([] {
              auto* low = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
              strcpy(low, path);
              long result = 12;
              unsigned long first = reinterpret_cast<uintptr_t>(low);
              __asm__ volatile("int $0x80"
                               : "+a"(result), "+b"(first)
                               :
                               : "memory", "r8", "r9", "r10", "r11");
              if (static_cast<int>(result) == -ENOSYS) return 125;
              if (first != reinterpret_cast<uintptr_t>(low)) return 1;
              return result == 0 && cwd_is("/usr") ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace ovl::testing
