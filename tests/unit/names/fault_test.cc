// Each mutation is killed at each of its system calls, and has each of them fail. Afterwards
// programs see the tree as it was before or as it is after, entirely; nobody is left waiting for a
// lock; the lower has not changed.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <functional>

#include "launcher/upper/check.h"
#include "tests/unit/names/names_test.h"

#if defined(__x86_64__)

namespace ovl::testing {
namespace {

using std::string_literals::operator""s;

struct Case {
  const char* name;
  std::function<void(class Fault*)> before;  // not disturbed
  std::function<long(class Fault*)> act;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

class Fault : public NamesTest, public ::testing::WithParamInterface<Case> {
 public:
  using NamesTest::make_dir;
  using NamesTest::make_link;
  using NamesTest::make_symlink;
  using NamesTest::move;
  using NamesTest::remove;
  using NamesTest::remove_dir;
  using NamesTest::try_open;
  using NamesTest::write_new;
  long change_mode(const std::string& p, mode_t mode) {
    return run<op_fchmodat2>(AT_FDCWD, path(p), mode, 0);
  }

 protected:
  enum class How { kNothing, kKill, kFail };
  struct Ended {
    bool disturbed = false;  // the call was reached
    long result = 0;         // of the operation, unless it was killed
  };

  void fill() {
    make_lower_dir("/d/sub");
    make_lower_dir("/e");
    make_lower_dir("/empty");
    write_file(lower("/f"), std::string(5000, 'f'));
    write_file(lower("/g"), "g");
    write_file(lower("/d/h"), "h", 0444);
    ASSERT_EQ(symlink("f", lower("/s").c_str()), 0);
    ASSERT_EQ(mkfifo(lower("/pipe").c_str(), 0644), 0);
    write_file(lower("/linked"), "linked", 0644);
    ASSERT_EQ(::link(lower("/linked").c_str(), lower("/e/linked2").c_str()), 0);
    ASSERT_EQ(::link(lower("/linked").c_str(), lower("/e/linked3").c_str()), 0);
  }

  // An empty upper and a new session; then what the case wants.
  void reset() {
    std::filesystem::remove_all(work("/index"));
    std::filesystem::remove_all(work("/ovlrun/beside"));
    for (const std::string& dir : {upper(), work("/work")}) {
      std::filesystem::remove_all(dir);
      std::filesystem::create_directory(dir);
    }
    start();
    GetParam().before(this);
  }

  std::map<std::string, std::string> tree() {
    Seen seen;
    see_overlay("", &seen);
    for (auto& [p, what] : seen.entries)
      for (const char* original : {"/s", "/pipe"})
        if (look(p).stx_ino == real(lower(original)).st_ino) what += " is lower's"s + original;
    return seen.entries;
  }

  // Calls whose failure means nothing, or that undo and clean up.
  static bool harmless(unsigned long number) {
    switch (number) {
      case SYS_rt_sigprocmask:
      case SYS_futex:
      case SYS_gettid:
      case SYS_getpid:
      case SYS_tkill:
      case SYS_close:
      case SYS_mmap:
      case SYS_munmap:
      case SYS_brk:
      case SYS_geteuid:
      case SYS_getegid:
      case SYS_getgroups:
      case SYS_clock_gettime:
      case SYS_exit_group:
      case SYS_mprotect:
      case SYS_madvise:
      case SYS_fcntl:
        return true;
      default:
        return false;
    }
  }

  // Killed before one of these, the task leaves what it would have left before the next call that
  // changes something.
  static bool reads(unsigned long number) {
    switch (number) {
      case SYS_statx:
      case SYS_llistxattr:
      case SYS_lgetxattr:
      case SYS_fgetxattr:
      case SYS_readlinkat:
      case SYS_lseek:
      case SYS_getdents64:
      case SYS_read:
      case SYS_pread64:
      case SYS_name_to_handle_at:
        return true;
      default:
        return harmless(number);
    }
  }

  // Runs the operation in a child, disturbed at its n-th system call.
  Ended disturb(How how, int n) {
    Ended ended;
    const pid_t child = fork();
    if (child == 0) {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      raise(SIGSTOP);
      _exit(static_cast<int>(-GetParam().act(this)));
    }
    int status;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    bool entering = false;
    int count = 0;
    for (;;) {
      ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
      waitpid(child, &status, 0);
      if (WIFEXITED(status)) {
        ended.result = -WEXITSTATUS(status);
        return ended;
      }
      if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
      entering = !entering;
      if (!entering || how == How::kNothing) continue;
      user_regs_struct registers;
      ptrace(PTRACE_GETREGS, child, nullptr, &registers);
      if (registers.orig_rax == SYS_exit_group) continue;
      if (how == How::kKill ? reads(registers.orig_rax) : harmless(registers.orig_rax)) continue;
      if (++count != n) continue;
      ended.disturbed = true;
      if (how == How::kKill) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        return ended;
      }
      registers.orig_rax = static_cast<unsigned long>(-1);
      ptrace(PTRACE_SETREGS, child, nullptr, &registers);
      ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
      waitpid(child, &status, 0);
      registers.rax = static_cast<unsigned long>(n % 2 ? -EIO : -ENOSPC);
      ptrace(PTRACE_SETREGS, child, nullptr, &registers);
      entering = false;
    }
  }

  // `ovlrun check` finds nothing that is wrong. What a kill leaves may be there.
  std::vector<Finding> expect_sound() {
    std::vector<Finding> findings = check_upper(source()).findings;
    for (const Finding& finding : findings)
      EXPECT_EQ(finding.severity(), Severity::kNote) << line_of(finding);
    return findings;
  }
  // And its repair takes that away.
  void expect_mended() {
    repair(source(), expect_sound());
    for (const Finding& finding : check_upper(source()).findings) ADD_FAILURE() << line_of(finding);
  }
  UpperSource source() const { return {at(), upper(), work(), {lower()}}; }

  static std::string text(const std::map<std::string, std::string>& entries) {
    std::string all;
    for (const auto& [p, what] : entries) all += p + " " + what + "\n";
    return all;
  }

  void TearDown() override {}  // what a kill leaves in the workdir is removed by the next session
};

TEST_P(Fault, IsBeforeOrAfter) {
  fill();
  const std::string print = fingerprint();
  reset();
  const std::string before = text(tree());
  ASSERT_EQ(disturb(How::kNothing, 0).result, 0);
  const std::string after = text(tree());
  for (How how : {How::kKill, How::kFail}) {
    for (int n = 1;; n++) {
      SCOPED_TRACE(::testing::Message()
                   << (how == How::kKill ? "killed" : "error") << " at call " << n);
      reset();
      const Ended ended = disturb(how, n);
      if (!ended.disturbed) break;
      const std::string now = text(tree());
      const bool killed = how == How::kKill;
      EXPECT_TRUE(!killed || now == before || now == after) << now;
      EXPECT_TRUE(killed || now == (ended.result == 0 ? after : before))
          << "result " << ended.result << "\n"
          << now;
      expect_sound();
      const long again = now == before ? GetParam().act(this) : 0;
      EXPECT_EQ(again, 0) << "it can be done afterwards, and waits for nobody";
      EXPECT_EQ(text(tree()), after);
      expect_mended();
      EXPECT_EQ(text(tree()), after);
      if (HasFailure()) return;
    }
  }
  EXPECT_EQ(fingerprint(), print);
}

const Case kMutations[] = {
    {"create", [](Fault*) {},
     [](Fault* t) { return t->try_open("/d/sub/new", O_CREAT | O_WRONLY, 0644); }},
    {"create_over_whiteout", [](Fault* t) { t->remove("/f"); },
     [](Fault* t) { return t->try_open("/f", O_CREAT | O_WRONLY, 0644); }},
    {"mkdir_over_whiteout", [](Fault* t) { t->remove_dir("/empty"); },
     [](Fault* t) { return t->make_dir("/empty", 0500); }},
    {"unlink_lower", [](Fault*) {}, [](Fault* t) { return t->remove("/d/h"); }},
    {"unlink_copy", [](Fault* t) { t->write_new("/f", "copy"); },
     [](Fault* t) { return t->remove("/f"); }},
    {"rmdir_merged",
     [](Fault* t) {
       t->make_dir("/empty/x");
       t->remove_dir("/empty/x");
     },
     [](Fault* t) { return t->remove_dir("/empty"); }},
    {"rename_lower_file", [](Fault*) {}, [](Fault* t) { return t->move("/f", "/d/moved"); }},
    {"rename_renamed_file", [](Fault* t) { t->move("/f", "/f2"); },
     [](Fault* t) { return t->move("/f2", "/d/moved"); }},
    {"rename_completed_file",
     [](Fault* t) {
       t->move("/f", "/f2");
       t->try_open("/f2", O_RDWR);
     },
     [](Fault* t) { return t->move("/f2", "/d/moved"); }},
    {"link_renamed_file", [](Fault* t) { t->move("/f", "/f2"); },
     [](Fault* t) { return t->make_link("/f2", "/d/link"); }},
    {"exchange_files", [](Fault*) {},
     [](Fault* t) { return t->move("/f", "/d/h", RENAME_EXCHANGE); }},
    {"rename_over_lower", [](Fault*) {}, [](Fault* t) { return t->move("/f", "/g"); }},
    {"rename_lower_directory", [](Fault*) {}, [](Fault* t) { return t->move("/d", "/e/moved"); }},
    {"rename_directory_over_whiteout", [](Fault* t) { t->remove_dir("/empty"); },
     [](Fault* t) { return t->move("/d", "/empty"); }},
    {"rename_pure_directory_over_merged",
     [](Fault* t) {
       t->make_dir("/p");
       t->write_new("/p/x", "x");
     },
     [](Fault* t) { return t->move("/p", "/empty"); }},
    {"exchange", [](Fault*) {}, [](Fault* t) { return t->move("/d", "/f", RENAME_EXCHANGE); }},
    {"link_lower", [](Fault*) {}, [](Fault* t) { return t->make_link("/f", "/d/link"); }},
    {"symlink_over_whiteout", [](Fault* t) { t->remove("/s"); },
     [](Fault* t) { return t->make_symlink("g", "/s"); }},
    {"chmod_hard_link", [](Fault*) {}, [](Fault* t) { return t->change_mode("/e/linked2", 0600); }},
    {"chmod_second_hard_link", [](Fault* t) { t->change_mode("/linked", 0600); },
     [](Fault* t) { return t->change_mode("/e/linked2", 0640); }},
    {"write_second_hard_link", [](Fault* t) { t->change_mode("/linked", 0600); },
     [](Fault* t) { return t->try_open("/e/linked2", O_RDWR); }},
    {"unlink_hard_link", [](Fault*) {}, [](Fault* t) { return t->remove("/e/linked2"); }},
    {"unlink_last_hard_link",
     [](Fault* t) {
       t->remove("/linked");
       t->remove("/e/linked2");
     },
     [](Fault* t) { return t->remove("/e/linked3"); }},
    {"link_hard_link", [](Fault*) {},
     [](Fault* t) { return t->make_link("/e/linked2", "/d/linked4"); }},
    {"rename_hard_link", [](Fault*) {},
     [](Fault* t) { return t->move("/e/linked2", "/d/linked4"); }},
    {"rename_over_hard_link", [](Fault*) {}, [](Fault* t) { return t->move("/g", "/e/linked2"); }},
    {"rename_lower_symlink", [](Fault*) {}, [](Fault* t) { return t->move("/s", "/d/moved"); }},
    {"chmod_lower_fifo", [](Fault*) {}, [](Fault* t) { return t->change_mode("/pipe", 0600); }},
    {"link_lower_fifo", [](Fault*) {}, [](Fault* t) { return t->make_link("/pipe", "/e/pipe2"); }},
    {"unlink_last_name_of_symlink", [](Fault* t) { t->move("/s", "/d/moved"); },
     [](Fault* t) { return t->remove("/d/moved"); }},
    {"rename_over_symlink", [](Fault* t) { t->move("/s", "/d/moved"); },
     [](Fault* t) { return t->move("/g", "/d/moved"); }},
    {"chmod_lower", [](Fault*) {}, [](Fault* t) { return t->change_mode("/f", 0600); }},
    {"open_for_writing", [](Fault*) {},
     [](Fault* t) { return t->try_open("/d/sub/../../f", O_RDWR); }},
    {"complete_metacopy", [](Fault* t) { t->change_mode("/f", 0600); },
     [](Fault* t) { return t->try_open("/f", O_RDWR); }},
};
INSTANTIATE_TEST_SUITE_P(Mutations, Fault, ::testing::ValuesIn(kMutations),
                         [](const auto& mutation) { return std::string(mutation.param.name); });

}  // namespace
}  // namespace ovl::testing

#endif
