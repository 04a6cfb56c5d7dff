// See environment.h.
#include "core/exec/environment.h"

namespace ovl {
namespace {

constexpr size_t kStringMost = 128 * 1024;  // MAX_ARG_STRLEN
constexpr size_t kCountMost = 1 << 22;

Result<size_t> count_items(Op& op, UserBuf vector) {
  for (size_t n = 0; n < kCountMost; n++) {
    uintptr_t item;
    TRY(op.caller().copy_in(&item, UserPtr<const void>(vector.address() + n * sizeof item),
                            sizeof item));
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
    TRY(op.caller().copy_in(&item, UserPtr<const void>(vector.address() + i * sizeof item),
                            sizeof item));
    CStr text = TRY(op.caller().copy_in_string(op.arena(), UserPath(item), kStringMost));
    items[i] = const_cast<char*>(text.c_str());  // execve's vectors are not const, and not changed
  }
  items[count] = nullptr;
  return Vector{items, count};
}

Str variable(const Vector& env, Str name_and_equals) {
  for (size_t i = 0; i < env.count; i++) {
    const Str entry(env.items[i], strlen(env.items[i]));
    if (entry.starts_with(name_and_equals)) return entry.sub(name_and_equals.size());
  }
  return Str(nullptr, 0);
}

namespace {

// The vector that is being made; an allocation that failed shows at the end.
class Builder {
 public:
  Builder(Op& op, size_t room) : op_(op), items_(op.arena().array<char*>(room + 1)) {}
  void add(const char* item) {
    failed_ = failed_ || items_ == nullptr || item == nullptr;
    if (!failed_)
      items_[count_++] =
          const_cast<char*>(item);  // execve's vectors are not const, and not changed
  }
  void add(Str a, Str b = Str(), Str c = Str()) { add(op_.arena().concat(a, b, c).data()); }
  Result<Vector> finish() {
    if (failed_) return Error(ENOMEM);
    items_[count_] = nullptr;
    return Vector{items_, count_};
  }

 private:
  Op& op_;
  char** items_;
  size_t count_ = 0;
  bool failed_ = false;
};

}  // namespace

bool names_session(Op& op, const Vector& env) {
  const Str object = op.session().segment().str(op.session().segment().preload_path);
  for (size_t i = 0; i < env.count; i++) {
    const Str entry(env.items[i], strlen(env.items[i]));
    if (entry.starts_with(kSessionVariable) && entry[sizeof kSessionVariable - 1] == '=')
      return true;
    if (entry.starts_with(kPreloadVariable) && lists(entry.sub(kPreloadVariable.size()), object))
      return true;
  }
  return false;
}

Result<Vector> plain_environment(Op& op, const Vector& env) {
  const Str object = op.session().segment().str(op.session().segment().preload_path);
  Builder result(op, env.count);
  for (size_t i = 0; i < env.count; i++) {
    const Str entry(env.items[i], strlen(env.items[i]));
    if (entry.starts_with(kSessionVariable) && entry[sizeof kSessionVariable - 1] == '=') continue;
    if (!entry.starts_with(kPreloadVariable) ||
        !lists(entry.sub(kPreloadVariable.size()), object)) {
      result.add(env.items[i]);
      continue;
    }
    CStr left("");
    Str rest = entry.sub(kPreloadVariable.size());
    while (!rest.empty()) {
      size_t end = 0;
      while (end < rest.size() && rest[end] != ':' && rest[end] != ' ') end++;
      const Str item = rest.sub(0, end);
      if (!item.empty() && item != object)
        left = op.arena().concat(left, left.empty() ? "" : ":", item);
      rest = rest.sub(end < rest.size() ? end + 1 : end);
    }
    if (!left.empty()) result.add(kPreloadVariable, left);
  }
  return result.finish();
}

Result<Vector> session_environment(Op& op, const Vector& env, CStr libraries, Str called) {
  const Session& session = op.session();
  const Str object = session.segment().str(session.segment().preload_path);
  const CStr session_name = op.arena().concat(kSessionVariable, "=");
  if (session_name.data() == nullptr) return Error(ENOMEM);
  Builder result(op, env.count + 5);
  bool preloaded = false;
  for (size_t i = 0; i < env.count; i++) {
    const Str entry(env.items[i], strlen(env.items[i]));
    if (entry.starts_with(session_name)) continue;
    if (libraries.data() != nullptr && entry.starts_with(kLibraryVariable)) continue;
    if (preloaded || !entry.starts_with(kPreloadVariable)) {
      result.add(env.items[i]);
      continue;
    }
    preloaded = true;
    const Str others = entry.sub(kPreloadVariable.size());
    if (lists(others, object))
      result.add(env.items[i]);
    else
      result.add(entry, others.empty() ? "" : ":", object);
  }
  if (!preloaded) result.add(kPreloadVariable, object);
  result.add(session_name, session.path());
  if (!called.empty()) result.add(kCalledName, called);
  if (libraries.data() != nullptr) {
    const Str own = variable(env, kLibraryVariable);
    result.add(kLibraryVariable, libraries);
    if (own.data() != nullptr)
      result.add(kOriginalLibraries, own);
    else
      result.add(kNoLibraries);
  }
  return result.finish();
}

}  // namespace ovl
