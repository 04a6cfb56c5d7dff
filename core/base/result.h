// Result<T>: a value, or a positive errno. TRY(expr) yields the value or returns the error from the
// enclosing function. "Absent" is a value, not an error: format/ and walk/ decide that.
#pragma once

#include <errno.h>

#include <type_traits>
#include <utility>

namespace ovl {

// A positive errno on its way up.
class [[nodiscard]] Error {
 public:
  constexpr explicit Error(int code) : code_(code) {}
  constexpr int code() const { return code_; }

 private:
  int code_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): `return value;`
  Result(T value) : value_(std::move(value)), error_(0) {}
  // NOLINTNEXTLINE(google-explicit-constructor): `return Error(ENOENT);`
  Result(Error e) : value_(), error_(e.code()) {}

  bool ok() const { return error_ == 0; }
  int error() const { return error_; }  // 0 when ok()
  T& value() & { return value_; }
  const T& value() const& { return value_; }
  T&& value() && { return std::move(value_); }

 private:
  T value_;
  int error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() : error_(0) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error e) : error_(e.code()) {}
  bool ok() const { return error_ == 0; }
  int error() const { return error_; }
  void value() const {}

 private:
  int error_;
};

// Best effort, spelled out: success, or exactly this error, is fine; everything else goes on up.
inline Result<void> ignore_if(Result<void> r, int code) {
  if (!r.ok() && r.error() == code) return {};
  return r;
}
// For clean-up whose failure changes nothing any more (the next start repeats it).
template <class T>
inline void ignore(const Result<T>&) {}

}  // namespace ovl

#define TRY(expr)                                                    \
  __extension__({                                                    \
    auto try_result_ = (expr);                                       \
    if (!try_result_.ok()) return ::ovl::Error(try_result_.error()); \
    std::move(try_result_).value();                                  \
  })
