// See mapping.h.
#include "core/readdir/mapping.h"

#include <sys/mman.h>

#include <atomic>

#include "core/sys/gate.h"
#include "core/sys/kernel_abi.h"

namespace ovl {
namespace {

constexpr size_t kPage = 4096;

// Memory that one thread gives back another one can get. The kernel orders that; the thread
// sanitizer, which doesn't see raw calls, learns it from here.
std::atomic<uint32_t> given_back;

size_t whole_pages(size_t bytes) { return (bytes + kPage - 1) & ~(kPage - 1); }

}  // namespace

Result<void> Mapping::reserve(size_t bytes) {
  if (bytes <= size_) return {};
  // Doubling, so that growing step by step moves each byte a bounded number of times.
  const size_t wanted = whole_pages(bytes < 2 * size_ ? 2 * size_ : bytes);
  given_back.fetch_add(1, std::memory_order_release);
  const long p = data_ == nullptr ? raw_call(SYS_mmap, nullptr, wanted, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                  : raw_call(SYS_mremap, data_, size_, wanted, MREMAP_MAYMOVE);
  if (p < 0 && p > -4096) return Error(ENOMEM);
  static_cast<void>(given_back.load(std::memory_order_acquire));
  data_ = reinterpret_cast<void*>(p);
  size_ = wanted;
  return {};
}

void Mapping::shrink(size_t bytes) {
  const size_t wanted = whole_pages(bytes);
  if (wanted == 0 || wanted >= size_) return;
  given_back.fetch_add(1, std::memory_order_release);
  if (raw_call(SYS_munmap, static_cast<char*>(data_) + wanted, size_ - wanted) == 0) size_ = wanted;
}

void Mapping::drop() {
  if (data_ == nullptr) return;
  given_back.fetch_add(1, std::memory_order_release);
  raw_call(SYS_munmap, data_, size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace ovl
