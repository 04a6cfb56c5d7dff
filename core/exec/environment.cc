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

// Cuts the first name off a list of objects (separated by ':' or ' ').
Str cut_object(Str& list) {
  size_t end = 0;
  while (end < list.size() && list[end] != ':' && list[end] != ' ') end++;
  const Str object = list.sub(0, end);
  list = list.sub(end + 1);
  return object;
}

bool lists(Str objects, Str object) {
  while (!objects.empty())
    if (cut_object(objects) == object) return true;
  return false;
}

}  // namespace

Result<Vector> copy_in_vector(Op& op, UserBuf vector, size_t spare) {
  const size_t count = vector.null() ? 0 : TRY(count_items(op, vector));
  char** items = op.arena().array<char*>(count + spare + 1);
  if (items == nullptr) return Error(ENOMEM);
  // All of them first, then what they point to: a remote caller's memory comes page by page.
  TRY(op.caller().copy_in(items, UserPtr<const void>(vector.address()), count * sizeof *items));
  for (size_t i = 0; i < count; i++) {
    const UserPath item(reinterpret_cast<uintptr_t>(items[i]));
    CStr text = TRY(op.caller().copy_in_string(op.arena(), item, kStringMost));
    items[i] = const_cast<char*>(text.c_str());  // execve's vectors are not const, and not changed
  }
  items[count] = nullptr;
  return Vector{items, count};
}

namespace {

// Without a look at all of it: an environment may be large.
bool begins(const char* entry, Str with) {
  for (char c : with)
    if (*entry++ != c) return false;
  return true;
}

}  // namespace

Str variable(const Vector& env, Str name_and_equals) {
  for (size_t i = 0; i < env.count; i++) {
    const char* const entry = env.items[i];
    if (begins(entry, name_and_equals)) return CStr(entry + name_and_equals.size());
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

Result<Vector> plain_environment(Op& op, const Vector& env) {
  const Str object = op.session().segment().str(op.session().segment().preload_path);
  bool ours = false;
  Builder result(op, env.count);
  for (size_t i = 0; i < env.count; i++) {
    const Str entry(env.items[i], strlen(env.items[i]));
    if (entry.starts_with(kSessionVariable) && entry[sizeof kSessionVariable - 1] == '=') {
      ours = true;
      continue;
    }
    if (!entry.starts_with(kPreloadVariable) ||
        !lists(entry.sub(kPreloadVariable.size()), object)) {
      result.add(env.items[i]);
      continue;
    }
    ours = true;
    CStr left("");
    for (Str rest = entry.sub(kPreloadVariable.size()); !rest.empty();) {
      const Str other = cut_object(rest);
      if (!other.empty() && other != object)
        left = op.arena().concat(left, left.empty() ? "" : ":", other);
    }
    if (!left.empty()) result.add(kPreloadVariable, left);
  }
  return ours ? result.finish() : env;
}

Result<Vector> session_environment(Op& op, const Vector& env, CStr libraries, Str called) {
  const Session& session = op.session();
  const Str object = session.segment().str(session.segment().preload_path);
  const CStr session_name = op.arena().concat(kSessionVariable, "=");
  if (session_name.data() == nullptr) return Error(ENOMEM);
  Builder result(op, env.count + 5);
  bool preloaded = false;
  for (size_t i = 0; i < env.count; i++) {
    if (begins(env.items[i], session_name)) continue;
    if (libraries.data() != nullptr && begins(env.items[i], kLibraryVariable)) continue;
    if (preloaded || !begins(env.items[i], kPreloadVariable)) {
      result.add(env.items[i]);
      continue;
    }
    preloaded = true;
    const Str entry = CStr(env.items[i]);
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
