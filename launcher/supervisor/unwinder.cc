// See unwinder.h.
#include "launcher/supervisor/unwinder.h"

#include <dlfcn.h>

#include <optional>
#include <type_traits>

namespace ovl {
namespace {

// The names that the interface of these headers has had since there is one.
constexpr char kArchLibrary[] = "libunwind-x86_64.so.8";
constexpr char kPtraceLibrary[] = "libunwind-ptrace.so.0";

// The library's own name of a function: a macro of the header may stand for it.
#define OVL_TEXT(x) #x
#define OVL_EXPANDED_TEXT(x) OVL_TEXT(x)

std::optional<Unwinder> load() {
  // The second one uses the first without saying so.
  void* const arch = dlopen(kArchLibrary, RTLD_LAZY | RTLD_GLOBAL);
  void* const ptrace = dlopen(kPtraceLibrary, RTLD_LAZY | RTLD_LOCAL);
  if (arch == nullptr || ptrace == nullptr) return std::nullopt;
  const auto find = [&](auto& member, const char* name) {
    void* function = dlsym(ptrace, name);
    if (function == nullptr) function = dlsym(arch, name);
    member = reinterpret_cast<std::remove_reference_t<decltype(member)>>(function);
    return function != nullptr;
  };
  Unwinder all = {};
#define OVL_UNWIND_FIND(member, function) \
  if (!find(all.member, OVL_EXPANDED_TEXT(function))) return std::nullopt;
  OVL_UNWIND_FUNCTIONS(OVL_UNWIND_FIND)
#undef OVL_UNWIND_FIND
  return all;
}

}  // namespace

const Unwinder* unwinder() {
  static const std::optional<Unwinder> loaded = load();
  return loaded ? &*loaded : nullptr;
}

}  // namespace ovl
