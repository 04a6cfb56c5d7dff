// Strings of the core: views, never owners. A CStr is also NUL-terminated, so it can go to the
// kernel. No libc beyond mem*/str*, no exceptions (std::string_view's checks would pull in
// libstdc++).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace ovl {

class Str {
 public:
  constexpr Str() = default;
  constexpr Str(const char* data, size_t size) : data_(data), size_(size) {}
  // NOLINTNEXTLINE(google-explicit-constructor): literals
  constexpr Str(const char* text) : data_(text), size_(__builtin_strlen(text)) {}

  constexpr const char* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr char operator[](size_t i) const { return data_[i]; }
  constexpr char back() const { return data_[size_ - 1]; }
  constexpr const char* begin() const { return data_; }
  constexpr const char* end() const { return data_ + size_; }

  // The part from `from`, at most `count` bytes; clamped to what there is.
  constexpr Str sub(size_t from, size_t count = SIZE_MAX) const {
    if (from > size_) from = size_;
    if (count > size_ - from) count = size_ - from;
    return Str(data_ + from, count);
  }
  constexpr bool starts_with(Str prefix) const {
    return size_ >= prefix.size_ && __builtin_memcmp(data_, prefix.data_, prefix.size_) == 0;
  }
  // Index of the first / last `c`; SIZE_MAX when there is none.
  constexpr size_t find(char c, size_t from = 0) const {
    for (size_t i = from; i < size_; i++)
      if (data_[i] == c) return i;
    return SIZE_MAX;
  }
  constexpr size_t rfind(char c) const {
    for (size_t i = size_; i-- > 0;)
      if (data_[i] == c) return i;
    return SIZE_MAX;
  }
  friend constexpr bool operator==(Str a, Str b) {
    return a.size_ == b.size_ && (a.size_ == 0 || __builtin_memcmp(a.data_, b.data_, a.size_) == 0);
  }

 private:
  const char* data_ = "";
  size_t size_ = 0;
};

// A Str with a NUL at data()[size()].
class CStr : public Str {
 public:
  constexpr CStr() : Str("", 0) {}
  // Requires: data[size] == 0.
  constexpr CStr(const char* data, size_t size) : Str(data, size) {}
  // NOLINTNEXTLINE(google-explicit-constructor): literals
  constexpr CStr(const char* text) : Str(text) {}
  constexpr const char* c_str() const { return data(); }
};

// Is `path` equal to `dir` or below it? Both absolute, normalised; "/" contains everything.
constexpr bool is_below_or_same(Str path, Str dir) {
  if (dir == Str("/")) return true;
  return path.starts_with(dir) && (path.size() == dir.size() || path[dir.size()] == '/');
}

// The part of `path` after `dir`: "" for dir itself, else "/...". Requires is_below_or_same(path,
// dir).
constexpr Str below(Str path, Str dir) {
  if (dir == Str("/")) return path == Str("/") ? Str() : path;
  return path.sub(dir.size());
}

// Directory and last name of a normalised absolute path ("/a" -> "/", "a").
constexpr Str dir_name(Str path) {
  size_t slash = path.rfind('/');
  return slash == 0 ? Str("/") : path.sub(0, slash);
}
constexpr Str base_name(Str path) { return path.sub(path.rfind('/') + 1); }

}  // namespace ovl
