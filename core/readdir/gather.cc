// See gather.h.
#include "core/readdir/gather.h"

#include "core/readdir/position.h"

namespace ovl {
namespace {

constexpr size_t kFirstRoom = 64 * 1024;
constexpr size_t kLeastRoom = 32 * 1024;
constexpr size_t kPlaces = size_t{UINT32_MAX} * 8;  // what an item can name

bool is_dot_or_dotdot(const char* name) {
  return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

}  // namespace

Result<void> Gather::open_layer(CStr path, uint32_t index) {
  fd_ = TRY(sys_openat(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK));
  layer_ = index;
  return {};
}

Result<bool> Gather::read_some() {
  if (records_.size() - used_ < kLeastRoom) TRY(records_.reserve(used_ + kFirstRoom));
  // Offsets of records are stored divided by 8: getdents64 aligns them so.
  size_t room = (records_.size() - used_) & ~size_t{7};
  constexpr size_t kMostAtOnce = 1 << 20;  // the kernel takes an int
  if (room > kMostAtOnce) room = kMostAtOnce;
  const size_t size =
      TRY(sys_getdents64(fd_.get(), static_cast<char*>(records_.data()) + used_, room));
  if (size == 0) {
    fd_.reset();
    return false;
  }
  TRY(add(size));
  return true;
}

Result<void> Gather::read_layer(CStr path, uint32_t index) {
  TRY(open_layer(path, index));
  while (TRY(read_some())) continue;
  return {};
}

Result<void> Gather::add(size_t size) {
  if (used_ + size > kPlaces) return Error(ENOMEM);
  // No record is shorter than 24 bytes.
  TRY(items_.reserve((count_ + size / 24) * sizeof(Item)));
  for (const size_t end = used_ + size; used_ < end;) {
    auto* record = reinterpret_cast<KernelDirent*>(static_cast<char*>(records_.data()) + used_);
    record->d_off = layer_;
    if (!is_dot_or_dotdot(record->d_name))
      items()[count_++] = Item{name_order(name_of(*record))} << 32 | used_ / 8;
    used_ += record->d_reclen;
  }
  return {};
}

Result<void> Gather::sort() {
  constexpr size_t kFew = 48;
  if (count_ > kFew) return radix_sort();
  insertion_sort();
  return {};
}

void Gather::insertion_sort() {
  for (size_t i = 1; i < count_; i++) {
    const Item item = items()[i];
    size_t at = i;
    for (; at > 0 && items()[at - 1] > item; at--) items()[at] = items()[at - 1];
    items()[at] = item;
  }
}

// Least significant byte of the order first; four stable passes leave the result where it began.
Result<void> Gather::radix_sort() {
  Mapping other;
  TRY(other.reserve(count_ * sizeof(Item)));
  Item* from = items();
  Item* to = static_cast<Item*>(other.data());
  for (unsigned shift = 32; shift < 64; shift += 8) {
    uint32_t starts[256] = {};
    for (size_t i = 0; i < count_; i++) starts[(from[i] >> shift) & 0xff]++;
    uint32_t sum = 0;
    for (uint32_t& start : starts) {
      const uint32_t n = start;
      start = sum;
      sum += n;
    }
    for (size_t i = 0; i < count_; i++) to[starts[(from[i] >> shift) & 0xff]++] = from[i];
    std::swap(from, to);
  }
  return {};
}

void Gather::take_records(Mapping* out) {
  out->drop();
  out->swap(records_);
  out->shrink(used_);
  used_ = count_ = 0;
}

}  // namespace ovl
