// See filter.h. libseccomp makes the search by architecture and number. What it has no words for
// (the instruction pointer, ranges of numbers) is put in front of its program and behind it.
#include "launcher/supervisor/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "core/ops/ioctl_types.h"
#include "core/sys/gate.h"
#include "core/sys/kernel_abi.h"
#include "launcher/failure.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace ovl {
namespace {

// The newest call that ops.def was made with the knowledge of.
constexpr uint32_t kNewestCall = SYS_file_setattr;
// From here on a call has the same number on all architectures.
constexpr uint32_t kFirstCommonCall = 403;
constexpr uint32_t kSkipped = 0xffffffff;  // a tracer's "don't do it"; the kernel makes it ENOSYS

struct Rule {
  const char* name;
  uint32_t number;  // of x86-64
  uint32_t action;
};
constexpr Rule kRules[] = {
#define OVL_OP(name, status, ...) {#name, SYS_##name, SCMP_ACT_NOTIFY},
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
    if (context_ == nullptr) fail("filter: out of memory");
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
    if (!file.valid()) fail("filter: can't make a memory file: {}", error_text(errno));
    check(seccomp_export_bpf(context_, file.get()), "export");
    const off_t size = lseek(file.get(), 0, SEEK_END);
    if (size <= 0 || size % sizeof(sock_filter) != 0) fail("filter: {} bytes exported", size);
    std::vector<sock_filter> program(size / sizeof(sock_filter));
    if (pread(file.get(), program.data(), size, 0) != size)
      fail("filter: can't read it back: {}", error_text(errno));
    return program;
  }

 private:
  static void check(int result, const char* what) {
    if (result < 0) fail("filter: {}: {}", what, error_text(-result));
  }
  scmp_filter_ctx context_;
};

// A call whose number is too coarse: one rule per alternative. Only calls that are not assisted:
// the pass has a place of its own in the arguments.
std::vector<std::vector<scmp_arg_cmp>> conditions(uint32_t number) {
  if (number == SYS_sendto) return {{SCMP_A4_64(SCMP_CMP_NE, 0)}};  // with an address
  if (number != SYS_ioctl) return {{}};
  std::vector<std::vector<scmp_arg_cmp>> types;
  for (const uint8_t type : kFileSystemIoctls)
    types.push_back({SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xff00, uint64_t{type} << 8)});
  return types;
}

void add_rules(Context& context) {
  for (const Rule& rule : kRules)
    for (const auto& when : conditions(rule.number))
      context.add(rule.name, static_cast<int>(rule.number), rule.action, when);
}

// Returns the newest number that the rules cover: what this libseccomp has no name for is left to
// be ENOSYS, with all that is newer.
uint32_t add_rules_of_i386(Context& context) {
  uint32_t newest = kNewestCall;
  for (const Rule& rule : kRules) {
    const int there = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, rule.name);
    if (there == __NR_SCMP_ERROR && rule.number >= kFirstCommonCall)
      newest = std::min(newest, rule.number - 1);
    if (there == __NR_SCMP_ERROR) continue;
    if (rule.number == SYS_ioctl) {
      for (const auto& when : conditions(rule.number))
        context.add(rule.name, static_cast<int>(rule.number), rule.action, when);
    } else {
      // Also sendto in full: behind socketcall(2) its arguments are in memory.
      context.add(rule.name, static_cast<int>(rule.number), rule.action, {});
    }
  }
  for (const auto& rule : kRulesOfI386)
    context.add(rule.name, seccomp_syscall_resolve_name(rule.name), rule.action, {});
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

// --- around libseccomp's program ---

constexpr sock_filter load(size_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)};
}
constexpr sock_filter jump(uint32_t over) { return {BPF_JMP | BPF_JA, 0, 0, over}; }
constexpr sock_filter result(uint32_t value) { return {BPF_RET | BPF_K, 0, 0, value}; }
// Skips `yes` or `no` instructions.
constexpr sock_filter equal(uint32_t value, uint8_t yes, uint8_t no) {
  return {BPF_JMP | BPF_JEQ | BPF_K, yes, no, value};
}
constexpr sock_filter greater(uint32_t value, uint8_t yes, uint8_t no) {
  return {BPF_JMP | BPF_JGT | BPF_K, yes, no, value};
}

// Little-endian halves.
constexpr size_t kPointerLow = offsetof(seccomp_data, instruction_pointer);
constexpr size_t kPointerHigh = kPointerLow + 4;
constexpr size_t kPathLow = offsetof(seccomp_data, args[1]), kPathHigh = kPathLow + 4;
constexpr size_t kPassAt[2] = {offsetof(seccomp_data, args[4]), offsetof(seccomp_data, args[5])};

// Numbers that are too new. x32's have a bit set that makes them so.
void put_limits_before(std::vector<sock_filter>& program, uint32_t newest_i386) {
  const sock_filter limits[] = {
      load(offsetof(seccomp_data, arch)),
      equal(AUDIT_ARCH_X86_64, 0, 2),
      load(offsetof(seccomp_data, nr)),
      greater(kNewestCall, 2, 4),
      load(offsetof(seccomp_data, nr)),
      greater(newest_i386, 0, 2),
      equal(kSkipped, 1, 0),
      result(SECCOMP_RET_ERRNO | ENOSYS),
  };
  program.insert(program.begin(), std::begin(limits), std::end(limits));
}

// Everything that would go to the supervisor asks first where it comes from.
void put_exceptions_behind(std::vector<sock_filter>& program, const FilterOptions& options) {
  const size_t block = program.size();
  for (size_t i = 0; i < block; i++)
    if (program[i].code == (BPF_RET | BPF_K) && program[i].k == SECCOMP_RET_USER_NOTIF)
      program[i] = jump(static_cast<uint32_t>(block - i - 1));
  const auto put = [&](std::initializer_list<sock_filter> part) {
    program.insert(program.end(), part);
  };
  if (options.gate)
    put({load(kPointerHigh),
         equal(kGateAddress >> 32, 0, 4),
         load(kPointerLow),
         {BPF_ALU | BPF_AND | BPF_K, 0, 0, ~static_cast<uint32_t>(kGateSize - 1)},
         equal(static_cast<uint32_t>(kGateAddress), 0, 1),
         result(SECCOMP_RET_ALLOW)});
  if (options.pass[0] != 0 || options.pass[1] != 0)
    put({load(kPassAt[0]), equal(options.pass[0], 0, 3), load(kPassAt[1]),
         equal(options.pass[1], 0, 1), result(SECCOMP_RET_ALLOW)});
  if (options.loader) {
    constexpr sock_filter kKeep = {BPF_MISC | BPF_TAX, 0, 0, 0};
    put({load(offsetof(seccomp_data, arch)),
         equal(AUDIT_ARCH_X86_64, 0, 16),
         load(offsetof(seccomp_data, nr)),
         equal(SYS_newfstatat, 0, 14),
         load(offsetof(seccomp_data, args[3])),
         equal(AT_EMPTY_PATH, 0, 12),
         load(kPointerHigh),
         kKeep,
         load(kPathHigh),
         {BPF_JMP | BPF_JEQ | BPF_X, 0, 8, 0},
         load(kPointerLow),
         kKeep,
         {BPF_ALU | BPF_AND | BPF_K, 0, 0, 4095},
         equal(options.loader->in_page, 0, 4),
         load(kPathLow),
         {BPF_ALU | BPF_SUB | BPF_X, 0, 0, 0},
         equal(options.loader->to_string, 0, 1),
         result(SECCOMP_RET_ALLOW)});
  }
  put({result(SECCOMP_RET_USER_NOTIF)});
}

}  // namespace

std::vector<sock_filter> make_filter(const FilterOptions& options) {
  // Not what this kernel has, which an outer filter may hide: install_filter() finds that out.
  seccomp_api_set(6);
  Context native(SCMP_ARCH_X86_64);
  add_rules(native);
  if (options.credentials) add_credential_rules(native, false);
  if (options.readable) add_readable_rule(native);
  uint32_t newest_i386 = kNewestCall;
  if (options.i386) {
    Context other(SCMP_ARCH_X86);
    newest_i386 = add_rules_of_i386(other);
    if (options.credentials) add_credential_rules(other, true);
    if (options.readable) add_readable_rule(other);
    native.merge(other);
  }
  std::vector<sock_filter> program = native.program();
  put_limits_before(program, newest_i386);
  put_exceptions_behind(program, options);
  if (program.size() > BPF_MAXINSNS) fail("filter: {} instructions are too many", program.size());
  return program;
}

bool changes_credentials(const seccomp_data& call) {
  const auto numbers = [](uint32_t architecture) {
    std::vector<int> all;
    for (const std::string& name : credential_calls(architecture == SCMP_ARCH_X86))
      all.push_back(seccomp_syscall_resolve_name_arch(architecture, name.c_str()));
    return all;
  };
  static const std::vector<int> native = numbers(SCMP_ARCH_X86_64), i386 = numbers(SCMP_ARCH_X86);
  const std::vector<int>& all = call.arch == AUDIT_ARCH_X86_64 ? native : i386;
  return std::find(all.begin(), all.end(), call.nr) != all.end();
}

Result<UniqueFd> install_filter(const std::vector<sock_filter>& filter) {
  const sock_fprog program = {static_cast<unsigned short>(filter.size()),
                              const_cast<sock_filter*>(filter.data())};
  // SPEC_ALLOW: before Linux 5.16 a filter otherwise makes the program run with mitigations that
  // slow all of its code down. This one confines nobody.
  constexpr unsigned long kListen =
      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  constexpr unsigned long kFlags[] = {kListen | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, kListen};
  for (const unsigned long flags : kFlags) {
    const long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno != EINVAL) break;  // EINVAL: an unknown flag
  }
  return Error(errno);
}

}  // namespace ovl
