// See bpf.h.
#include "tests/unit/supervisor/bpf.h"

#include <stddef.h>
#include <string.h>

namespace ovl {
namespace {

std::optional<uint32_t> run(const std::vector<sock_filter>& filter, const seccomp_data& call,
                            bool number_alone) {
  uint32_t a = 0, x = 0;
  for (size_t pc = 0; pc < filter.size(); pc++) {
    const sock_filter& i = filter[pc];
    bool yes = false;
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (i.k % 4 != 0 || i.k >= sizeof call) return std::nullopt;
        if (number_alone && i.k != offsetof(seccomp_data, nr) &&
            i.k != offsetof(seccomp_data, arch))
          return std::nullopt;
        memcpy(&a, reinterpret_cast<const char*>(&call) + i.k, sizeof a);
        continue;
      case BPF_RET | BPF_K:
        return i.k;
      case BPF_JMP | BPF_JA:
        pc += i.k;
        continue;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= i.k;
        continue;
      case BPF_ALU | BPF_SUB | BPF_X:
        a -= x;
        continue;
      case BPF_MISC | BPF_TAX:
        x = a;
        continue;
      case BPF_JMP | BPF_JEQ | BPF_X:
        yes = a == x;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        yes = a == i.k;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        yes = a >= i.k;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        yes = a > i.k;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        yes = (a & i.k) != 0;
        break;
      default:
        return std::nullopt;
    }
    pc += yes ? i.jt : i.jf;
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint32_t> run_filter(const std::vector<sock_filter>& filter,
                                   const seccomp_data& call) {
  return run(filter, call, false);
}

std::optional<uint32_t> run_by_number(const std::vector<sock_filter>& filter, uint32_t architecture,
                                      uint32_t number) {
  seccomp_data call = {};
  call.arch = architecture;
  call.nr = static_cast<int>(number);
  return run(filter, call, true);
}

}  // namespace ovl
