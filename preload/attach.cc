// See attach.h. The states only ever go unattached -> busy -> attached or none, so that vfork
// children, which share this memory, can spoil nothing.
#include "preload/attach.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

#include <atomic>
#include <new>

#include "core/exec/environment.h"
#include "core/sys/sys.h"

extern "C" char** environ;

namespace ovl {
namespace {

enum State : int { kUnattached, kBusy, kNone, kAttached };

// What each start touches, in a page that the loader has touched before.
#define OVL_NEAR __attribute__((section(".data")))

OVL_NEAR std::atomic<int> state{kUnattached};
// Constructed when there is a session: a Session holds tables that would otherwise be relocated at
// each start.
alignas(Session) char session_bytes[sizeof(Session)];
Session* const session = reinterpret_cast<Session*>(session_bytes);

// The strings that were taken out of the environment block; other arrays may still point to them.
constexpr int kRemovedMost = 6;
OVL_NEAR char* removed[kRemovedMost];
OVL_NEAR int removed_count;

// Constants lie pages away from it.
template <size_t size>
struct NearText {
  constexpr explicit NearText(Str a, Str b = "") {
    for (size_t i = 0; i < size; i++) text[i] = i < a.size() ? a[i] : b[i - a.size()];
  }
  constexpr operator Str() const { return Str(text, size); }  // NOLINT(google-explicit-constructor)
  char text[size] = {};
};
OVL_NEAR constinit NearText<sizeof kSessionVariable> session_prefix(kSessionVariable, "=");
OVL_NEAR constinit NearText<kPreloadVariable.size()> preload_prefix(kPreloadVariable);

// The entry "name=..." of an environment, or nullptr. `prefix`: with the '='.
char** find(char** env, Str prefix) {
  if (env == nullptr) return nullptr;
  for (; *env != nullptr; env++) {
    const char* entry = *env;
    size_t i = 0;
    while (i < prefix.size() && entry[i] == prefix[i]) i++;
    if (i == prefix.size()) return env;
  }
  return nullptr;
}

void remove(char** env, const char* entry) {
  if (env == nullptr || entry == nullptr) return;
  char** to = env;
  for (char** from = env; *from != nullptr; from++)
    if (*from != entry) *to++ = *from;
  *to = nullptr;
}

// Takes an entry out of the block and wipes it: /proc/self/environ shows the bytes.
void take_out(char** env, char* entry) {
  remove(env, entry);
  memset(entry, 0, strlen(entry));
  if (removed_count < kRemovedMost) removed[removed_count++] = entry;
}

// LD_LIBRARY_PATH was lengthened at exec (core/exec/libraries.h), and the loader has read it: the
// program sees its own again.
[[gnu::hot]] void restore_library_path(char** env) {
  char** lengthened = find(env, kLibraryVariable);
  char** original = find(env, kOriginalLibraries);
  char** none = find(env, kNoLibraries.sub(0, kNoLibraries.size() - 1));
  if (lengthened == nullptr || (original == nullptr && none == nullptr)) return;
  if (none != nullptr) {
    char* marker = *none;
    take_out(env, *lengthened);
    take_out(env, marker);
    return;
  }
  char* const entry = *original;
  char* const old = *lengthened;
  *lengthened =
      entry + kOriginalPrefix.size();  // "OVLRUN_LD_LIBRARY_PATH=x" ends in what is wanted
  remove(env, entry);
  memset(old, 0, strlen(old));
}

// Where the kernel could not be given the program's own words (core/ops/exec.cc): they take the
// place of what it was given, of a script's interpreter for one. comm is their last name.
[[gnu::hot]] void restore_called_name(char** env) {
  char** entry = find(env, kCalledName);
  if (entry == nullptr) return;
  const CStr called(*entry + kCalledName.size(), strlen(*entry + kCalledName.size()));
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  auto* given = reinterpret_cast<char*>(getauxval(AT_EXECFN));
  const size_t room = given != nullptr ? strlen(given) : 0;
  if (called.size() <= room) {
    memcpy(given, called.data(), called.size());
    memset(given + called.size(), 0, room - called.size());
  }
  const bool only_a_descriptor = dir_name(called) == Str("/dev/fd");
  if (!only_a_descriptor) raw_call(SYS_prctl, PR_SET_NAME, base_name(called).data());
  take_out(env, *entry);
}

// Takes `object` out of a list that ld.so splits at colons and spaces. True when nothing is left.
[[gnu::hot]] bool remove_from_list(char* list, Str object) {
  char* to = list;
  for (const char* from = list; *from != 0;) {
    const char* end = from;
    while (*end != 0 && *end != ':' && *end != ' ') end++;
    const size_t size = static_cast<size_t>(end - from);
    if (Str(from, size) == object) {
      from = *end != 0 ? end + 1 : end;
      continue;
    }
    memmove(to, from, size);
    to += size;
    from = end;
    if (*end != 0) {
      *to++ = *end;
      from++;
    }
  }
  while (to > list && (to[-1] == ':' || to[-1] == ' ')) to--;
  memset(to, 0, strlen(to));  // /proc/self/environ shows the bytes
  return to == list;
}

// Takes what is ours out of the environment block. `env` is the program's array.
[[gnu::hot]] void hide(char** env) {
  if (char** entry = find(env, session_prefix)) {
    take_out(env, *entry);
  }
  restore_called_name(env);
  const Segment& segment = session->segment();
  if (segment.supervised == 0) restore_library_path(env);
  if (char** entry = find(env, preload_prefix)) {
    char* const list = *entry + kPreloadVariable.size();
    if (remove_from_list(list, segment.str(segment.preload_path))) {
      take_out(env, *entry);
    }
  }
}

[[noreturn, gnu::cold]] void fail(Str path, int error) {
  char digits[12];
  size_t count = 0;
  for (int left = error; count == 0 || left > 0; left /= 10)
    digits[count++] = static_cast<char>('0' + left % 10);
  char number[12];
  for (size_t i = 0; i < count; i++) number[i] = digits[count - 1 - i];
  const Str parts[] = {"ovlrun: the session ", path, " cannot be attached (errno ",
                       Str(number, count), "): not running without the overlay\n"};
  for (Str part : parts) raw_call(SYS_write, 2, part.data(), part.size());
  for (;;) raw_call(SYS_exit_group, 125);
}

// Requires: signals blocked, state busy.
[[gnu::hot]] void attach(char** env) {
  char** entry = find(env, session_prefix);
  if (entry == nullptr) {
    state.store(kNone, std::memory_order_release);
    return;
  }
  const char* path = *entry + sizeof kSessionVariable;  // past the '='
  const bool gate = fix_gate();
  new (session_bytes) Session();
  Result<void> r = session->attach(CStr(path, strlen(path)));
  if (!r.ok()) fail(path, r.error());
  hide(env);
  // Without the gate our own calls would go to the supervisor, as if they were the program's. Then
  // all of the program's go there, and none of ours are made.
  const bool aside = session->segment().supervised != 0 && !gate;
  state.store(aside ? kNone : kAttached, std::memory_order_release);
}

[[gnu::hot]] void attach_once(char** env) {
  // A handler that ran in the middle would wait for the very code that it interrupted.
  const uint64_t all = ~uint64_t{0};
  uint64_t old;
  plain_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
  int expected = kUnattached;
  if (state.compare_exchange_strong(expected, kBusy, std::memory_order_acquire)) {
    attach(env);
  } else {
    while (state.load(std::memory_order_acquire) == kBusy) raw_call(SYS_sched_yield);
  }
  plain_call(SYS_rt_sigprocmask, SIG_SETMASK, &old, nullptr, sizeof old);
}

// glibc hands constructors the arguments of main.
__attribute__((constructor(101), hot)) void constructor(int, char**, char** env) {
  if (state.load(std::memory_order_acquire) == kUnattached) attach_once(env);
  // Attached earlier, or somebody's setenv made a new array: no array may keep what was taken out.
  for (char** array : {env, environ}) {
    for (int i = 0; i < removed_count; i++) remove(array, removed[i]);
  }
}

}  // namespace

Session* attached() {
  int now = state.load(std::memory_order_acquire);
  if (__builtin_expect(now == kUnattached || now == kBusy, 0)) {
    // Before libc has set `environ` up (an ifunc resolver) there is no way to know; nothing there
    // names a path of the program's.
    if (environ == nullptr) return nullptr;
    attach_once(environ);
    now = state.load(std::memory_order_acquire);
  }
  return now == kAttached ? session : nullptr;
}

void step_aside() {
  Session* const now = attached();
  if (now == nullptr || now->segment().supervised == 0) return;
  state.store(kNone, std::memory_order_release);
  gate_shift = 0;
}

}  // namespace ovl
