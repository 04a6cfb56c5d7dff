// See filter.h. The search by architecture and number was made by libseccomp when this was built
// (filter_programs/generate.cc). What it has no words for (the instruction pointer, ranges of
// numbers) is put in front of its program and behind it.
#include "launcher/supervisor/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "core/sys/gate.h"
#include "launcher/failure.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace ovl {
namespace {

constexpr uint32_t kSkipped = 0xffffffff;  // a tracer's "don't do it"; the kernel makes it ENOSYS

constexpr size_t kAroundMost = 32;  // instructions that are put around a program

struct FilterProgram {
  bool i386, credentials, readable, is_volatile;  // as in FilterOptions
  uint32_t newest_i386;                           // the newest number of i386's calls that it knows
  const sock_filter* code;
  size_t size;
};
#include "launcher/filter_programs/programs.inc"

const FilterProgram& program_for(const FilterOptions& options) {
  return *std::find_if(std::begin(kPrograms), std::end(kPrograms), [&](const FilterProgram& p) {
    return p.i386 == options.i386 && p.credentials == options.credentials &&
           p.readable == options.readable && p.is_volatile == options.is_volatile;
  });
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
  const FilterProgram& made = program_for(options);
  std::vector<sock_filter> program;
  program.reserve(made.size + kAroundMost);
  program.assign(made.code, made.code + made.size);
  put_limits_before(program, made.newest_i386);
  put_exceptions_behind(program, options);
  if (program.size() > BPF_MAXINSNS) fail("filter: {} instructions are too many", program.size());
  return program;
}

bool changes_credentials(const seccomp_data& call) {
  const auto is_one = [&](const auto& numbers) {
    return std::find(std::begin(numbers), std::end(numbers), call.nr) != std::end(numbers);
  };
  return call.arch == AUDIT_ARCH_X86_64 ? is_one(kCredentialCalls) : is_one(kCredentialCallsOfI386);
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
