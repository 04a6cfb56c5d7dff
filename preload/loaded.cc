// dl_iterate_phdr(3): our object comes last, not first. ASan's runtime refuses to start unless it
// is the first object after the program; apart from such looks at the order, nobody can tell.
#include <link.h>

#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/next.h"

extern "C" const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

namespace ovl {
namespace {

Next<int(PhdrCallback, void*)> next_iterate("dl_iterate_phdr");

struct Pass {
  PhdrCallback callback;
  void* data;
  bool ours;  // this pass is for our object, or for the others
};

int forward(dl_phdr_info* info, size_t size, void* argument) {
  const auto* pass = static_cast<const Pass*>(argument);
  const bool ours = info->dlpi_addr == reinterpret_cast<ElfW(Addr)>(&__ehdr_start);
  return ours == pass->ours ? pass->callback(info, size, pass->data) : 0;
}

}  // namespace

int ip_dl_iterate_phdr(PhdrCallback callback, void* data) {
  auto* real = next_iterate.get();
  if (real == nullptr) return 0;
  Pass others = {callback, data, false};
  if (const int r = real(forward, &others); r != 0) return r;
  Pass ours = {callback, data, true};
  return real(forward, &ours);
}

}  // namespace ovl
