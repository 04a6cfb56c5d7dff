// Runs when ovlrun is built: writes the programs of the seccomp filter (supervisor/filter.h), one
// for each choice of its options, as C++ tables. libseccomp makes the search by architecture and
// number; doing so at each start would be a good part of what a start costs.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/ops/ioctl_types.h"
#include "core/ops/lock_commands.h"
#include "core/sys/kernel_abi.h"

namespace ovl {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("filter: " + what); }

// The newest call that ops.def was made with the knowledge of.
constexpr uint32_t kNewestCall = SYS_file_setattr;
// From here on a call has the same number on all architectures.
constexpr uint32_t kFirstCommonCall = 403;

struct Rule {
  const char* name;
  uint32_t number;  // of x86-64
  uint32_t action;
  bool where_volatile = false;  // only there
};
constexpr Rule kRules[] = {
#define OVL_OP(name, status, ...) {#name, SYS_##name, SCMP_ACT_NOTIFY},
#define OVL_OP_VOLATILE(name, status, ...) {#name, SYS_##name, SCMP_ACT_NOTIFY, true},
#define OVL_LEGACY(name, target, ...) {#name, SYS_##name, SCMP_ACT_NOTIFY},
#define OVL_REFUSE(name, code, why) {#name, SYS_##name, SCMP_ACT_ERRNO(code)},
#include "core/ops/ops.def"
};

// What only i386 has. socketcall(2) comes with the calls that it stands for: libseccomp does that.
constexpr struct {
  const char* name;
  uint32_t action;
} kRulesOfI386[] = {
    {"oldstat", SCMP_ACT_NOTIFY},          {"oldlstat", SCMP_ACT_NOTIFY},
    {"oldfstat", SCMP_ACT_NOTIFY},         {"stat64", SCMP_ACT_NOTIFY},
    {"lstat64", SCMP_ACT_NOTIFY},          {"fstat64", SCMP_ACT_NOTIFY},
    {"fstatat64", SCMP_ACT_NOTIFY},        {"statfs64", SCMP_ACT_NOTIFY},
    {"fstatfs64", SCMP_ACT_NOTIFY},        {"readdir", SCMP_ACT_NOTIFY},
    {"chown32", SCMP_ACT_NOTIFY},          {"lchown32", SCMP_ACT_NOTIFY},
    {"fchown32", SCMP_ACT_NOTIFY},         {"truncate64", SCMP_ACT_NOTIFY},
    {"utimensat_time64", SCMP_ACT_NOTIFY}, {"umount", SCMP_ACT_ERRNO(EPERM)},
};

// Changes of credentials; i386 has most of them twice, since its numbers of users were short.
std::vector<std::string> credential_calls(bool i386) {
  std::vector<std::string> names = {"setuid",    "setgid",   "setreuid", "setregid", "setresuid",
                                    "setresgid", "setfsuid", "setfsgid", "setgroups"};
  if (i386)
    for (size_t i = names.size(); i-- > 0;) names.push_back(names[i] + "32");
  names.push_back("capset");
  return names;
}

// A program for one architecture, in libseccomp's hands.
class Context {
 public:
  explicit Context(uint32_t architecture) : context_(seccomp_init(SCMP_ACT_ALLOW)) {
    if (context_ == nullptr) fail("out of memory");
    check(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)), "BADARCH");
    // A binary search instead of a chain.
    check(seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2), "OPTIMIZE");
    if (architecture == seccomp_arch_native()) return;
    check(seccomp_arch_add(context_, architecture), "arch_add");
    check(seccomp_arch_remove(context_, seccomp_arch_native()), "arch_remove");
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    if (context_ != nullptr) seccomp_release(context_);
  }

  // The number is the native one, or libseccomp's stand-in for a call that the native architecture
  // lacks. Several rules of one call are alternatives.
  void add(const char* name, int number, uint32_t action, const std::vector<scmp_arg_cmp>& when) {
    check(seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(when.size()),
                                 when.data()),
          name);
  }
  void merge(Context& other) {
    check(seccomp_merge(context_, other.context_), "merge");
    other.context_ = nullptr;
  }

  std::vector<sock_filter> program() const {
    const UniqueFd file(memfd_create("filter", MFD_CLOEXEC));
    if (!file.valid()) fail(std::string("can't make a memory file: ") + strerror(errno));
    check(seccomp_export_bpf(context_, file.get()), "export");
    const off_t size = lseek(file.get(), 0, SEEK_END);
    if (size <= 0 || size % sizeof(sock_filter) != 0)
      fail(std::to_string(size) + " bytes exported");
    std::vector<sock_filter> program(size / sizeof(sock_filter));
    if (pread(file.get(), program.data(), size, 0) != size)
      fail(std::string("can't read it back: ") + strerror(errno));
    return program;
  }

 private:
  static void check(int result, const char* what) {
    if (result < 0) fail(std::string(what) + ": " + strerror(-result));
  }
  scmp_filter_ctx context_;
};

// A call whose number is too coarse: one rule per alternative. Only calls that are not assisted:
// the pass has a place of its own in the arguments.
std::vector<std::vector<scmp_arg_cmp>> conditions(uint32_t number) {
  if (number == SYS_sendto) return {{SCMP_A4_64(SCMP_CMP_NE, 0)}};  // with an address
  if (number == SYS_fcntl) {
    std::vector<std::vector<scmp_arg_cmp>> commands;
    for (const uint64_t command : kLockCommands)
      commands.push_back({SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, command)});
    return commands;
  }
  if (number != SYS_ioctl) return {{}};
  std::vector<std::vector<scmp_arg_cmp>> types;
  for (const uint8_t type : kFileSystemIoctls)
    types.push_back({SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xff00, uint64_t{type} << 8)});
  return types;
}

void add_rules(Context& context, bool is_volatile) {
  for (const Rule& rule : kRules)
    if (is_volatile || !rule.where_volatile)
      for (const auto& when : conditions(rule.number))
        context.add(rule.name, static_cast<int>(rule.number), rule.action, when);
}

// Returns the newest number that the rules cover: what this libseccomp has no name for is left to
// be ENOSYS, with all that is newer.
uint32_t add_rules_of_i386(Context& context, bool is_volatile) {
  uint32_t newest = kNewestCall;
  for (const Rule& rule : kRules) {
    if (rule.where_volatile && !is_volatile) continue;
    const int there = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, rule.name);
    if (there == __NR_SCMP_ERROR && rule.number >= kFirstCommonCall)
      newest = std::min(newest, rule.number - 1);
    if (there == __NR_SCMP_ERROR) continue;
    if (rule.number == SYS_ioctl || rule.number == SYS_fcntl) {
      for (const auto& when : conditions(rule.number))
        context.add(rule.name, static_cast<int>(rule.number), rule.action, when);
    } else {
      // Also sendto in full: behind socketcall(2) its arguments are in memory.
      context.add(rule.name, static_cast<int>(rule.number), rule.action, {});
    }
  }
  for (const auto& rule : kRulesOfI386)
    context.add(rule.name, seccomp_syscall_resolve_name(rule.name), rule.action, {});
  for (const auto& when : conditions(SYS_fcntl))
    context.add("fcntl64", seccomp_syscall_resolve_name("fcntl64"), SCMP_ACT_NOTIFY, when);
  return newest;
}

void add_credential_rules(Context& context, bool i386) {
  for (const std::string& name : credential_calls(i386))
    context.add(name.c_str(), seccomp_syscall_resolve_name(name.c_str()), SCMP_ACT_NOTIFY, {});
}

void add_readable_rule(Context& context) {
  context.add("prctl", SYS_prctl, SCMP_ACT_ERRNO(0),
              {SCMP_A0_64(SCMP_CMP_EQ, PR_SET_DUMPABLE), SCMP_A1_64(SCMP_CMP_EQ, 0)});
}

struct Choice {
  bool i386, credentials, readable, is_volatile;
};

void print_program(int index, const std::vector<sock_filter>& program) {
  printf("constexpr sock_filter kProgram%d[] = {\n", index);
  for (const sock_filter& i : program)
    printf("    {0x%02x, %u, %u, 0x%08x},\n", i.code, i.jt, i.jf, i.k);
  printf("};\n");
}

// Returns the newest number of i386's calls that the program knows.
uint32_t print_choice(int index, const Choice& choice) {
  Context native(SCMP_ARCH_X86_64);
  add_rules(native, choice.is_volatile);
  if (choice.credentials) add_credential_rules(native, false);
  if (choice.readable) add_readable_rule(native);
  uint32_t newest = kNewestCall;
  if (choice.i386) {
    Context other(SCMP_ARCH_X86);
    newest = add_rules_of_i386(other, choice.is_volatile);
    if (choice.credentials) add_credential_rules(other, true);
    if (choice.readable) add_readable_rule(other);
    native.merge(other);
  }
  print_program(index, native.program());
  return newest;
}

void print_credential_calls(const char* name, uint32_t architecture) {
  printf("constexpr int %s[] = {", name);
  for (const std::string& call : credential_calls(architecture == SCMP_ARCH_X86))
    printf("%d, ", seccomp_syscall_resolve_name_arch(architecture, call.c_str()));
  printf("};\n");
}

void print_all() {
  // Not what the kernel has that this is built on.
  seccomp_api_set(6);
  std::string table;
  for (int index = 0; index < 16; index++) {
    const Choice choice = {(index & 1) != 0, (index & 2) != 0, (index & 4) != 0, (index & 8) != 0};
    const uint32_t newest = print_choice(index, choice);
    const std::string number = std::to_string(index);
    const auto word = [](bool value) { return value ? "true, " : "false, "; };
    table += std::string("    {") + word(choice.i386) + word(choice.credentials) +
             word(choice.readable) + word(choice.is_volatile) + std::to_string(newest) +
             ", kProgram" + number + ", std::size(kProgram" + number + ")},\n";
  }
  printf("constexpr FilterProgram kPrograms[] = {\n%s};\n", table.c_str());
  printf("constexpr uint32_t kNewestCall = %u;\n", kNewestCall);
  print_credential_calls("kCredentialCalls", SCMP_ARCH_X86_64);
  print_credential_calls("kCredentialCallsOfI386", SCMP_ARCH_X86);
}

}  // namespace
}  // namespace ovl

int main() {
  try {
    ovl::print_all();
  } catch (const std::exception& error) {
    fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
