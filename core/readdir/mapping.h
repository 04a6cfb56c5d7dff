// Anonymous memory that outlives an operation: a listing that a DIR holds. Grows, perhaps by
// moving.
#pragma once

#include <stddef.h>

#include <utility>

#include "core/base/result.h"

namespace ovl {

class Mapping {
 public:
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { drop(); }

  void* data() const { return data_; }
  size_t size() const { return size_; }
  // Makes size() at least `bytes`; contents stay, data() may move. ENOMEM.
  Result<void> reserve(size_t bytes);
  // Gives back what lies behind `bytes`. Never fails: memory that can't be given back is kept.
  void shrink(size_t bytes);
  void drop();
  void swap(Mapping& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ovl
