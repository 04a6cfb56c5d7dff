#include "tests/model/sides.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "tests/model/words.h"

namespace model {
namespace {

constexpr int kPatience = 60'000;  // milliseconds; the executor ends itself sooner
constexpr int kNoMount = 77;

int memory_file(const char* name, const std::string& content) {
  const int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0 ||
      pwrite(fd, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()))
    throw std::runtime_error("no memory file");
  return fd;
}

std::string read_whole(int fd) {
  std::string text;
  char room[1 << 16];
  for (ssize_t got; (got = pread(fd, room, sizeof room, static_cast<off_t>(text.size()))) > 0;)
    text.append(room, static_cast<size_t>(got));
  close(fd);
  return text;
}

[[noreturn]] void give_up(const char* what, int status = 126) {
  dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
  _exit(status);
}

void become(Owner owner) {
  if (geteuid() == owner.uid) return;
  if (setgroups(0, nullptr) < 0 || setresgid(owner.gid, owner.gid, owner.gid) < 0 ||
      setresuid(owner.uid, owner.uid, owner.uid) < 0)
    give_up("setresuid");
  prctl(PR_SET_DUMPABLE, 1);  // /proc/self/uid_map is to stay its own
}

void write_proc(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) < 0) give_up(path, kNoMount);
  close(fd);
}

// A user namespace in which `outside` is known as `inside`.
void enter_namespace(int flags, Owner inside, Owner outside) {
  if (unshare(CLONE_NEWUSER | flags) < 0) give_up("unshare", kNoMount);
  write_proc("/proc/self/setgroups", "deny");
  write_proc("/proc/self/uid_map", fmt::format("{} {} 1", inside.uid, outside.uid));
  write_proc("/proc/self/gid_map", fmt::format("{} {} 1", inside.gid, outside.gid));
}

void bind(const std::string& from, const std::string& to) {
  if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) < 0)
    give_up("bind mount", kNoMount);
}

void execute(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  give_up(argv[0]);
}

}  // namespace

template <class Body>
Run Run::start(const std::string& script, Body body) {
  Run run;
  const int input = memory_file("script", script);
  run.output_ = memory_file("output", "");
  run.messages_ = memory_file("messages", "");
  run.pid_ = fork();
  if (run.pid_ == 0) {
    setpgid(0, 0);
    if (dup2(input, 0) < 0 || dup2(run.output_, 1) < 0 || dup2(run.messages_, 2) < 0 ||
        chdir("/") < 0)
      _exit(126);
    body();
    _exit(126);
  }
  close(input);
  if (run.pid_ < 0) throw std::runtime_error("no process");
  return run;
}

Run Run::ours(const Stage& stage, const Form& form, const Programs& programs,
              const Setting& setting, const std::string& script) {
  const Variant& variant = stage.variant();
  std::vector<std::string> words = {programs.ovlrun};
  for (const std::string& word : split(form.ovlrun_options)) words.push_back(word);
  std::string lowers;
  for (int i = 0; i < variant.lowers; i++) lowers += (i > 0 ? ":" : "") + stage.layer(i);
  words.insert(words.end(), {"--lower", lowers});
  if (lowers != stage.tree()) words.insert(words.end(), {"--at", stage.tree()});
  words.insert(words.end(), {"--upper", setting.upper, "--work", setting.upper + ".work"});
  for (const std::string& word : split(variant.ovlrun_options))
    if (!word.starts_with("--xattr")) words.push_back(word);
  if (setting.trusted_xattrs) words.emplace_back("--xattr=trusted");
  words.insert(words.end(), {"--", programs.executors + form.executor, stage.tree()});
  return start(script, [&] {
    setenv("XDG_STATE_HOME", stage.upper("state").c_str(), 1);
    if (!setting.as_root) become(stage.owner());
    execute(words);
  });
}

Run Run::kernel(const Stage& stage, const Form& form, const Programs& programs,
                const Setting& setting, const std::string& script) {
  const Variant& variant = stage.variant();
  std::string options = "lowerdir=";
  for (int i = 0; i < variant.lowers; i++) options += (i > 0 ? ":" : "") + stage.kernels_layer(i);
  options += fmt::format(",upperdir={0},workdir={0}.work,{1}", setting.upper,
                         setting.user_xattrs ? "userxattr" : variant.mount_options);
  return start(script, [&] {
    const bool unprivileged = variant.kernel == Kernel::kNamespace && !setting.as_root;
    if (unprivileged) {
      become(stage.owner());
      enter_namespace(CLONE_NEWNS, {0, 0}, stage.owner());
    } else if (unshare(CLONE_NEWNS) < 0) {
      give_up("unshare", kNoMount);
    }
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) give_up("private", kNoMount);
    bind(stage.around(), stage.real_around());
    if (!setting.our_surroundings) bind(stage.kernels_around(), stage.around());
    if (mount("overlay", stage.tree().c_str(), "overlay", 0, options.c_str()) < 0)
      give_up("overlay mount", kNoMount);
    if (unprivileged)
      enter_namespace(0, stage.owner(), {0, 0});
    else if (!setting.as_root)
      become(stage.owner());
    execute({programs.executors + form.executor, stage.tree()});
  });
}

Answer Run::wait() {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd ended = {handle, POLLIN, 0};
  if (handle >= 0 && poll(&ended, 1, kPatience) == 0) kill(-pid_, SIGKILL);
  if (handle >= 0) close(handle);
  Answer answer;
  while (waitpid(pid_, &answer.status, 0) < 0 && errno == EINTR) {
  }
  const std::string text = read_whole(output_);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    answer.lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  answer.messages = read_whole(messages_);
  return answer;
}

}  // namespace model
