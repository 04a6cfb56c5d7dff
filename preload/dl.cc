// dlopen(3). The loader opens objects with its own calls, and looks at who called it (RUNPATH,
// namespace): so the public functions are jumps (dl_<arch>.S) into the loader's with nothing
// changed but the path, which comes from here.
#include <stdlib.h>

#include <atomic>

#include "core/walk/walk.h"
#include "preload/call.h"
#include "preload/interposers.h"
#include "preload/next.h"
#include "preload/real_path.h"

extern "C" {
// Where dl_<arch>.S jumps to, once ovl_object_path has run.
__attribute__((visibility("hidden"))) void* ovl_next_dlopen;
__attribute__((visibility("hidden"))) void* ovl_next_dlmopen;
__attribute__((visibility("hidden"))) const char* ovl_object_path(const char* path);
}

namespace ovl {
namespace {

constexpr char kNowhere[] = "/proc/self/fd/-1/";

void* no_loader() { return nullptr; }

// Real paths that were handed to the loader. It copies them, but only after the jump; so they stay.
// As many as there are objects in the upper that a process loads by path.
struct Kept {
  Kept* next;
  char path[];
};
std::atomic<Kept*> kept;

const char* keep(CStr path) {
  for (Kept* k = kept.load(std::memory_order_acquire); k != nullptr; k = k->next)
    if (path == Str(k->path, strlen(k->path))) return k->path;
  auto* made = static_cast<Kept*>(malloc(sizeof(Kept) + path.size() + 1));
  if (made == nullptr) return nullptr;
  memcpy(made->path, path.c_str(), path.size() + 1);
  made->next = kept.load(std::memory_order_relaxed);
  while (!kept.compare_exchange_weak(made->next, made, std::memory_order_release)) {
  }
  return made->path;
}

void find_loader() {
  if (__atomic_load_n(&ovl_next_dlmopen, __ATOMIC_ACQUIRE) != nullptr) return;
  void* const none = reinterpret_cast<void*>(&no_loader);
  void* open = next_symbol("dlopen");
  void* open_in = next_symbol("dlmopen");
  __atomic_store_n(&ovl_next_dlopen, open != nullptr ? open : none, __ATOMIC_RELEASE);
  __atomic_store_n(&ovl_next_dlmopen, open_in != nullptr ? open_in : none, __ATOMIC_RELEASE);
}

}  // namespace
}  // namespace ovl

// The path for the loader. What programs don't see gets a name that the loader can't find either:
// its own look would be at the lower.
const char* ovl_object_path(const char* path) {
  using namespace ovl;  // NOLINT(google-build-using-namespace): one function outside for the sake
                        // of its name
  ErrnoSaver saver;
  find_loader();
  Session* session = attached();
  if (session == nullptr || path == nullptr || strchr(path, '/') == nullptr) return path;
  PreloadCaller caller;
  Op op(caller, *session);
  Result<CStr> real = real_path(op, path, kFollow);
  const CStr name(path, strlen(path));
  const CStr to_load = real.ok() ? real.value() : op.arena().concat(kNowhere, name);
  if (to_load == Str(name)) return path;
  const char* stays = to_load.data() != nullptr ? keep(to_load) : nullptr;
  return stays != nullptr ? stays : kNowhere;
}
