// Reads the directories of all layers into memory and sorts their records by the order of names;
// equal names then stand together, topmost layer first. Kernel counterpart: ovl_dir_read_merged().
#pragma once

#include "core/base/unique_fd.h"
#include "core/readdir/judge.h"
#include "core/readdir/mapping.h"
#include "core/sys/kernel_abi.h"

namespace ovl {

class Gather {
 public:
  // Layers are opened in ascending order. Errors: of opening; ENOMEM.
  Result<void> open_layer(CStr path, uint32_t index);
  // Appends some records of the open layer, without "." and "..". False: there were no more.
  Result<bool> read_some();
  Result<void> read_layer(CStr path, uint32_t index);
  // Requires: no read_some() afterwards.
  Result<void> sort();

  size_t count() const { return count_; }
  uint32_t order(size_t i) const { return static_cast<uint32_t>(items()[i] >> 32); }
  const KernelDirent& record(size_t i) const {
    return *reinterpret_cast<const KernelDirent*>(static_cast<const char*>(records_.data()) +
                                                  offset(i));
  }
  // d_off of a record says nothing any more once its layer is read: it keeps the layer.
  static uint32_t layer_of(const KernelDirent& record) {
    return static_cast<uint32_t>(record.d_off);
  }
  static Str name_of(const KernelDirent& record) {
    return Str(record.d_name, strlen(record.d_name));
  }

  // Hands the records' memory over.
  void take_records(Mapping* out);

 private:
  // One name of one layer in 64 bits: its order above, its record's place (/ 8) below. Sorting
  // these is sorting the records, and since places ascend with the layers, equal orders keep the
  // topmost layer first.
  using Item = uint64_t;
  Item* items() const { return static_cast<Item*>(items_.data()); }
  size_t offset(size_t i) const { return (items()[i] & UINT32_MAX) * 8; }
  Result<void> add(size_t size);
  void insertion_sort();
  Result<void> radix_sort();

  UniqueFd fd_;
  uint32_t layer_ = 0;
  Mapping records_;
  size_t used_ = 0;
  Mapping items_;
  size_t count_ = 0;
};

}  // namespace ovl
