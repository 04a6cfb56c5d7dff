// See environment.h.
#include "core/exec/environment.h"

namespace ovl {
namespace {

constexpr size_t kStringMost = 128 * 1024;  // MAX_ARG_STRLEN
constexpr size_t kCountMost = 1 << 22;

Result<size_t> count_items(Op& op, UserBuf vector) {
  for (size_t n = 0; n < kCountMost; n++) {
    uintptr_t item;
    TRY(op.caller().copy_in(&item, UserPtr<const void>(vector.address() + n * sizeof item), sizeof item));
    if (item == 0) return n;
  }
  return Error(E2BIG);
}

// Does a list of objects (separated by ':' or ' ') name this one?
bool lists(Str value, Str object) {
  size_t from = 0;
  for (size_t i = 0; i <= value.size(); i++) {
    if (i < value.size() && value[i] != ':' && value[i] != ' ') continue;
    if (value.sub(from, i - from) == object) return true;
    from = i + 1;
  }
  return false;
}

}  // namespace

Result<Vector> copy_in_vector(Op& op, UserBuf vector, size_t spare) {
  const size_t count = vector.null() ? 0 : TRY(count_items(op, vector));
  char** items = op.arena().array<char*>(count + spare + 1);
  if (items == nullptr) return Error(ENOMEM);
  for (size_t i = 0; i < count; i++) {
    uintptr_t item;
    TRY(op.caller().copy_in(&item, UserPtr<const void>(vector.address() + i * sizeof item), sizeof item));
    CStr text = TRY(op.caller().copy_in_string(op.arena(), UserPath(item), kStringMost));
    items[i] = const_cast<char*>(text.c_str());  // execve's vectors are not const, and not changed
  }
  items[count] = nullptr;
  return Vector{items, count};
}

Result<Vector> session_environment(Op& op, const Vector& env) {
  const Session& session = op.session();
  const Str object = session.segment().str(session.segment().preload_path);
  const CStr where = op.arena().concat(kSessionVariable, "=", session.path());
  char** items = op.arena().array<char*>(env.count + 3);
  if (items == nullptr || where.data() == nullptr) return Error(ENOMEM);
  size_t count = 0;
  bool preloaded = false;
  for (size_t i = 0; i < env.count; i++) {
    const Str entry(env.items[i], strlen(env.items[i]));
    char* item = env.items[i];
    if (entry.starts_with(where.sub(0, sizeof kSessionVariable))) continue;  // "OVLRUN_SESSION="
    if (!preloaded && entry.starts_with(kPreloadVariable)) {
      const Str others = entry.sub(kPreloadVariable.size());
      preloaded = true;
      if (!lists(others, object)) {
        const CStr joined = op.arena().concat(entry, others.empty() ? "" : ":", object);
        if (joined.data() == nullptr) return Error(ENOMEM);
        item = const_cast<char*>(joined.c_str());
      }
    }
    items[count++] = item;
  }
  if (!preloaded) {
    const CStr alone = op.arena().concat(kPreloadVariable, object);
    if (alone.data() == nullptr) return Error(ENOMEM);
    items[count++] = const_cast<char*>(alone.c_str());
  }
  items[count++] = const_cast<char*>(where.c_str());
  items[count] = nullptr;
  return Vector{items, count};
}

}  // namespace ovl
