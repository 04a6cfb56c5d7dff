// Processes: exec, posix_spawn, system, popen, vfork, cancellation.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include "tests/preload/probe.h"

namespace {

std::string ended(int status) {
  if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status));
}

template <class Exec>
void in_child(const char* what, Exec exec) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    exec();
    printf("%s failed: %s\n", what, outcome(-1).c_str());
    fflush(stdout);
    _exit(99);
  }
  int status;
  waitpid(pid, &status, 0);
  printf("%s: %s\n", what, ended(status).c_str());
}

// exec DIR: DIR/script has a "#!" line, DIR/plain has none, DIR/denied is not executable, DIR/link
// is a symlink to script.
int exec_command(const Arguments& a) {
  const std::string dir = a[0];
  const std::string script = dir + "/script", plain = dir + "/plain", denied = dir + "/denied",
                    link = dir + "/link";
  char* const argv[] = {const_cast<char*>("name"), const_cast<char*>("one"),
                        const_cast<char*>("two"), nullptr};
  char variable[] = "GIVEN=yes";
  char* const env[] = {variable, nullptr};
  in_child("execve", [&] { execve(script.c_str(), argv, env); });
  in_child("execve of a link", [&] { execve(link.c_str(), argv, env); });
  in_child("execve with no environment", [&] { execve(script.c_str(), argv, nullptr); });
  in_child("execv", [&] { execv(script.c_str(), argv); });
  in_child("execv without #!", [&] { execv(plain.c_str(), argv); });
  in_child("execvp without #!", [&] { execvp(plain.c_str(), argv); });
  in_child("execl", [&] { execl(script.c_str(), "name", "three", static_cast<char*>(nullptr)); });
  in_child("execle",
           [&] { execle(script.c_str(), "name", "four", static_cast<char*>(nullptr), env); });
  in_child("denied", [&] { execv(denied.c_str(), argv); });
  in_child("absent", [&] { execvp("no-such-program", argv); });
  in_child("empty", [&] { execvp("", argv); });
  in_child("execveat", [&] {
    const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY);
    execveat(fd, "script", argv, env, 0);
  });
  in_child("fexecve", [&] { fexecve(open(script.c_str(), O_RDONLY), argv, env); });
  setenv("PATH", ("/nowhere:" + dir + ":/usr/bin:/bin").c_str(), 1);
  in_child("execvp", [&] { execvp("script", argv); });
  in_child("execlp without #!",
           [&] { execlp("plain", "name", "five", static_cast<char*>(nullptr)); });
  in_child("execvp of what is denied", [&] { execvp("denied", argv); });
  in_child("execvpe", [&] { execvpe("script", argv, env); });
  return 0;
}

int wait_for(pid_t pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

volatile sig_atomic_t handled;

// The first child of `parent` that is not this process.
pid_t other_child(pid_t parent) {
  const std::string list =
      "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
  for (;;) {
    FILE* f = fopen(list.c_str(), "r");
    if (f == nullptr) return -1;
    pid_t child = -1;
    while (fscanf(f, "%d", &child) == 1 && child == getpid()) child = -1;
    fclose(f);
    if (child > 0) return child;
    sched_yield();
  }
}

// spawn_signal DIR: a signal that comes between a child's beginning and its exec meets no handler.
int spawn_signal(const Arguments& a) {
  const std::string fifo = a[0] + "/fifo";
  if (mkfifo(fifo.c_str(), 0600) != 0) return 1;
  signal(SIGUSR1, [](int) { handled = handled + 1; });
  signal(SIGUSR2, SIG_IGN);
  const pid_t parent = getpid();
  const pid_t helper = fork();
  if (helper == 0) {
    const pid_t child = other_child(parent);
    if (child > 0) kill(child, SIGUSR2);
    if (child > 0) kill(child, SIGUSR1);
    close(open(fifo.c_str(), O_WRONLY));
    _exit(0);
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 7, fifo.c_str(), O_RDONLY, 0);
  char* const argv[] = {const_cast<char*>("true"), nullptr};
  pid_t pid = -1;
  const int r = posix_spawn(&pid, "/bin/true", &actions, nullptr, argv, environ);
  printf("posix_spawn %d: %s, handled %d\n", r, ended(wait_for(pid)).c_str(),
         static_cast<int>(handled));
  posix_spawn_file_actions_destroy(&actions);
  wait_for(helper);
  return 0;
}

// spawn DIR
int spawn_command(const Arguments& a) {
  const std::string dir = a[0], out = dir + "/out", script = dir + "/script";
  char* const argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"),
                        const_cast<char*>(a[1].c_str()), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addopen(&actions, 7, (dir + "/script").c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addchdir_np(&actions, dir.c_str());
  posix_spawn_file_actions_addclosefrom_np(&actions, 8);
  pid_t pid = -1;
  int r = posix_spawn(&pid, "/bin/sh", &actions, nullptr, argv, environ);
  printf("posix_spawn %d: %s\n", r, ended(wait_for(pid)).c_str());
  FILE* f = fopen(out.c_str(), "r");
  char line[4096];
  while (f != nullptr && fgets(line, sizeof line, f) != nullptr) printf("out: %s", line);
  if (f != nullptr) fclose(f);
  posix_spawn_file_actions_destroy(&actions);

  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, (dir + "/nowhere").c_str(), O_RDONLY, 0);
  pid = -5;
  r = posix_spawn(&pid, "/bin/sh", &actions, nullptr, argv, environ);
  printf("of an absent file: %s, pid %d\n", strerrorname_np(r), pid);
  posix_spawn_file_actions_destroy(&actions);
  printf("of an absent program: %s\n",
         strerrorname_np(
             posix_spawn(&pid, (dir + "/nowhere").c_str(), nullptr, nullptr, argv, environ)));
  printf("of a script without #!: %s\n",
         strerrorname_np(
             posix_spawn(&pid, (dir + "/plain").c_str(), nullptr, nullptr, argv, environ)));

  // Attributes: the child tells its own.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  posix_spawnattr_setsigmask(&attributes, &set);
  signal(SIGUSR2, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  posix_spawnattr_setsigdefault(&attributes, &set);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  char status_command[] =
      "grep -E 'Sig(Blk|Ign)' /proc/self/status; test $(ps -o sid= -p $$) = $$ && echo leader";
  char* const status_argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), status_command,
                               nullptr};
  fflush(stdout);
  r = posix_spawn(&pid, "/bin/sh", nullptr, &attributes, status_argv, environ);
  printf("with attributes %d: %s\n", r, ended(wait_for(pid)).c_str());
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  char group_command[] = "test $(ps -o pgid= -p $$) = $$ && echo own group";
  char* const group_argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), group_command,
                              nullptr};
  fflush(stdout);
  r = posix_spawnp(&pid, "sh", nullptr, &attributes, group_argv, environ);
  printf("in a group %d: %s\n", r, ended(wait_for(pid)).c_str());
  posix_spawnattr_destroy(&attributes);

  // Newer than the oldest libc: a program that finds it uses it.
  using PidfdSpawn =
      int (*)(int*, const char*, const void*, const void*, char* const*, char* const*);
  if (auto pidfd_spawn = reinterpret_cast<PidfdSpawn>(dlsym(RTLD_DEFAULT, "pidfd_spawnp"))) {
    int fd = -1;
    siginfo_t info = {};
    if (pidfd_spawn(&fd, "true", nullptr, nullptr, argv, environ) != 0 ||
        waitid(static_cast<idtype_t>(3 /* P_PIDFD */), static_cast<id_t>(fd), &info, WEXITED) !=
            0 ||
        info.si_status != 0)
      puts("pidfd_spawnp does not work");
    close(fd);
  }
  setenv("PATH", ("/nowhere:" + dir).c_str(), 1);
  char* const script_argv[] = {const_cast<char*>("script"), const_cast<char*>("by search"),
                               nullptr};
  fflush(stdout);
  r = posix_spawnp(&pid, "script", nullptr, nullptr, script_argv, environ);
  printf("posix_spawnp %d: %s\n", r, r == 0 ? ended(wait_for(pid)).c_str() : "-");
  return 0;
}

// shell DIR
int shell_command(const Arguments& a) {
  fflush(stdout);
  printf("there is a shell: %d\n", system(nullptr));
  fflush(stdout);
  printf("system: %s\n",
         ended(system(("cd " + a[0] + " && ls && echo made >by-system; exit 3").c_str())).c_str());
  printf("killed: %s\n", ended(system("kill -TERM $$")).c_str());
  FILE* f = popen(("cat " + a[0] + "/by-system; exit 5").c_str(), "r");
  char line[256];
  while (fgets(line, sizeof line, f) != nullptr) printf("popen: %s", line);
  printf("pclose: %s\n", ended(pclose(f)).c_str());
  f = popen(("cat >" + a[0] + "/by-popen").c_str(), "we");
  printf("cloexec %d\n", fcntl(fileno(f), F_GETFD));
  FILE* second = popen("ls /proc/self/fd | wc -l", "r");  // has nothing of the first one's
  fputs("through the pipe\n", f);
  printf("pclose: %s\n", ended(pclose(f)).c_str());
  while (fgets(line, sizeof line, second) != nullptr) printf("descriptors: %s", line);
  printf("fclose: %d\n", fclose(second));
  printf("left over: %s\n", outcome(waitpid(-1, nullptr, WNOHANG)).c_str());
  printf("popen of a bad mode: %s\n", popen("true", "rw") == nullptr ? outcome(-1).c_str() : "ok");
  return 0;
}

int wordexp_command(const Arguments& a) {
  wordexp_t words;
  const int r = wordexp(a[0].c_str(), &words, 0);
  if (r == WRDE_CMDSUB)
    puts("commands are refused");
  else
    for (size_t i = 0; r == 0 && i < words.we_wordc; i++) puts(words.we_wordv[i]);
  return 0;
}

// A vfork child shares our memory, not our cwd.
int vfork_command(const Arguments& a) {
  fflush(stdout);
  static char* const argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"),
                               const_cast<char*>("ls; echo x >from-child"), nullptr};
  for (int i = 0; i < 40; i++) {  // more than there are blocks in the scratch pool
    const pid_t pid = vfork();
    if (pid == 0) {
      if (chdir(a[0].c_str()) != 0) _exit(98);
      if (i < 39) _exit(0);
      execv("/bin/sh", argv);
      _exit(99);
    }
    const int status = wait_for(pid);
    if (i == 39 || status != 0) printf("child: %s\n", ended(status).c_str());
  }
  struct stat st;
  printf("the parent stayed: %s\n", outcome(stat((a[0] + "/from-child").c_str(), &st)).c_str());
  return 0;
}

int ready[2];
const char* fifo_path;
void* open_fifo(void*) {
  if (write(ready[1], "x", 1) != 1) return nullptr;
  const int fd = open(fifo_path, O_RDONLY);  // waits for a writer that never comes
  return reinterpret_cast<void*>(static_cast<long>(fd));
}

void* open_pending(void* path) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  pthread_cancel(pthread_self());
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
  close(open(static_cast<const char*>(path), O_RDONLY));
  return nullptr;
}

// cancel FIFO FILE
int cancel_command(const Arguments& a) {
  fifo_path = a[0].c_str();
  printf("mkfifo %s\n", outcome(mkfifo(fifo_path, 0600)).c_str());
  if (pipe(ready) != 0) return 1;
  const int lowest = dup(0);
  close(lowest);
  for (int i = 0; i < 30; i++) {
    pthread_t thread;
    pthread_create(&thread, nullptr, open_fifo, nullptr);
    char byte;
    if (read(ready[0], &byte, 1) != 1) return 1;
    pthread_cancel(thread);
    void* result;
    pthread_join(thread, &result);
    if (result != PTHREAD_CANCELED) puts("not cancelled in a FIFO");
  }
  pthread_t thread;
  void* result;
  pthread_create(&thread, nullptr, open_pending, const_cast<char*>(a[1].c_str()));
  pthread_join(thread, &result);
  printf("cancelled at a file: %d\n", result == PTHREAD_CANCELED);
  const int fd = open(fifo_path, O_RDWR);
  printf("open goes on: %s, nothing left open %d\n", outcome(fd).c_str(), fd == lowest);
  close(fd);
  printf("unlink: %s\n", outcome(unlink(fifo_path)).c_str());
  return 0;
}

volatile sig_atomic_t interrupted;
void on_alarm(int) {
  struct stat st;
  interrupted = stat("/", &st) == 0 ? 1 : 2;
}

// A signal ends a blocking open with EINTR, and a handler may make the same calls.
int interrupt_command(const Arguments& a) {
  if (mkfifo(a[0].c_str(), 0600) != 0) return 1;
  struct sigaction action = {};
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, nullptr);
  ualarm(20000, 20000);  // again and again: the first may come before the call
  const int fd = open(a[0].c_str(), O_RDONLY);
  const std::string result = outcome(fd);
  ualarm(0, 0);
  printf("%s, handler %d\n", result.c_str(), static_cast<int>(interrupted));
  unlink(a[0].c_str());
  return 0;
}

}  // namespace

const Entry kProcessCommands[] = {
    {"exec", exec_command},       {"spawn", spawn_command},       {"shell", shell_command},
    {"vfork", vfork_command},     {"cancel", cancel_command},     {"interrupt", interrupt_command},
    {"wordexp", wordexp_command}, {"spawn_signal", spawn_signal}, {nullptr, nullptr}};
