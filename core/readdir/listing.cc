// See readdir.h.
#include <dirent.h>
#include <time.h>

#include "core/readdir/gather.h"
#include "core/readdir/position.h"
#include "core/readdir/readdir.h"

namespace ovl {
namespace {

// The topmost record of each name, in order. Different names can have one order, so names of one
// order are compared with one another: there are about as many of them as there are layers.
class Topmost {
 public:
  explicit Topmost(const Gather& all) : all_(all) {}
  // False: no more.
  bool next() {
    do {
      at_ = begun_ ? at_ + 1 : 0;
      begun_ = true;
      if (at_ == all_.count()) return false;
      if (all_.order(at_) != all_.order(run_)) run_ = at_;
    } while (same_name(run_, at_));
    return true;
  }
  size_t index() const { return at_; }
  // Does a lower layer have the name too?
  bool below() const {
    size_t end = at_ + 1;
    while (end < all_.count() && all_.order(end) == all_.order(at_)) end++;
    return same_name(at_ + 1, end);
  }

 private:
  // Is the current name among the records [from, to)?
  bool same_name(size_t from, size_t to) const {
    if (from == to) return false;
    const Str name = Gather::name_of(all_.record(at_));
    for (size_t i = from; i < to; i++)
      if (Gather::name_of(all_.record(i)) == name) return true;
    return false;
  }

  const Gather& all_;
  size_t at_ = 0;
  size_t run_ = 0;  // the first record of this order
  bool begun_ = false;
};

// The judge looks at one layer at a time, but records come by name.
class Judges {
 public:
  Judges(Op& op, const Node& dir) : op_(op), dir_(dir) {}
  Result<Judge*> of(uint32_t layer) {
    if (judges_ == nullptr) {
      count_ = layer_count(dir_);
      judges_ = op_.arena().array<Judge*>(count_);
      if (judges_ == nullptr) return Error(ENOMEM);
      for (uint32_t i = 0; i < count_; i++) judges_[i] = nullptr;
    }
    if (judges_[layer] == nullptr) {
      void* memory = op_.arena().alloc(sizeof(Judge));
      if (memory == nullptr) return Error(ENOMEM);
      auto* judge = new (memory) Judge(op_, dir_);
      TRY(judge->enter(layer));
      judges_[layer] = judge;
    }
    return judges_[layer];
  }

 private:
  Op& op_;
  const Node& dir_;
  Judge** judges_ = nullptr;
  uint32_t count_ = 0;
};

}  // namespace

Result<void> MergedListing::load(Op& op, const Node& dir) {
  drop();
  const Stamp stamp = TRY(stamp_of(dir));
  Gather all;
  for (uint32_t i = 0; i < layer_count(dir); i++) TRY(all.read_layer(layer_path(dir, i), i));
  TRY(all.sort());

  Mapping memory;
  TRY(memory.reserve((all.count() + 2) * sizeof(DirEntry)));
  auto* out = static_cast<DirEntry*>(memory.data());
  uint32_t n = 0;
  out[n++] = DirEntry{0, own_ino(dir), DT_DIR, 1, "."};
  out[n++] = DirEntry{position_at(kDotDotOrder), TRY(parent_ino(op, dir)), DT_DIR, 2, ".."};
  uint32_t order = kDotDotOrder;
  Judges judges(op, dir);
  for (Topmost name_at(all); name_at.next();) {
    const KernelDirent& record = all.record(name_at.index());
    const Str name = Gather::name_of(record);
    Judge* judge = TRY(judges.of(Gather::layer_of(record)));
    const Verdict verdict = TRY(judge->judge(name, record.d_type, record.d_ino, name_at.below()));
    if (verdict.hidden) continue;
    const uint32_t own = all.order(name_at.index());
    order = own > order ? own : order + 1;
    out[n++] = DirEntry{position_at(order), verdict.ino, verdict.type,
                        static_cast<uint16_t>(name.size()), name.data()};
  }
  memory.shrink(n * sizeof(DirEntry));
  all.take_records(&records_);
  entries_.swap(memory);
  count_ = n;
  stamp_ = stamp;
  return {};
}

Result<MergedListing::Stamp> MergedListing::stamp_of(const Node& dir) {
  constexpr int64_t kSecond = 1000000000;
  constexpr int64_t kTicks = kSecond / 50;  // two of the slowest kernel's
  Stamp stamp;
  stamp.in_upper = dir.in_upper();
  stamp.settled = true;
  if (!stamp.in_upper) return stamp;
  struct timespec now;
  TRY(checked_void(raw_call(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &now)));
  StatX st;
  TRY(sys_lstat(dir.upper, &st));
  stamp.ino = st.stx_ino;
  stamp.changed = st.stx_ctime.tv_sec * kSecond + st.stx_ctime.tv_nsec;
  stamp.settled = now.tv_sec * kSecond + now.tv_nsec - stamp.changed > kTicks;
  return stamp;
}

bool MergedListing::is_current(const Node& dir) const {
  if (!loaded() || !stamp_.settled) return false;
  const Result<Stamp> now = stamp_of(dir);
  return now.ok() && now.value() == stamp_;
}

void MergedListing::drop() {
  records_.drop();
  entries_.drop();
  count_ = 0;
}

void MergedListing::swap(MergedListing& other) {
  records_.swap(other.records_);
  entries_.swap(other.entries_);
  std::swap(count_, other.count_);
  std::swap(stamp_, other.stamp_);
}

uint32_t MergedListing::index_of(uint64_t position) const {
  uint32_t low = 0, high = count_;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (entries()[middle].position < position)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

uint64_t MergedListing::next_position(uint32_t i) const {
  return i + 1 < count_ ? entries()[i + 1].position : kEndPosition;
}

bool MergedListing::pushed_up(uint32_t i) const {
  const DirEntry& e = entries()[i];
  return i > 1 && e.position != position_at(name_order(Str(e.name, e.name_size)));
}

bool is_plain(const Node& dir, const LowerRef& lower) {
  // Elsewhere than in place, ".." is not what the file system says.
  return !lower.layer->has_format && lower.layer->fs_index == 0 && lower.path == dir.virt;
}

bool reads_natively(const Node& dir) {
  return single_layer(dir) && !dir.in_upper() && is_plain(dir, dir.lowers[0]);
}

Result<bool> shown_empty(Op& op, const Node& dir) {
  Gather all;
  Judges judges(op, dir);
  // Mostly the topmost layer has a name that is shown: then nothing else is read.
  TRY(all.open_layer(layer_path(dir, 0), 0));
  for (size_t i = 0; TRY(all.read_some());)
    for (; i < all.count(); i++) {
      const KernelDirent& record = all.record(i);
      Judge* judge = TRY(judges.of(0));
      if (!TRY(judge->hidden(Gather::name_of(record), record.d_type))) return false;
    }
  for (uint32_t i = 1; i < layer_count(dir); i++) TRY(all.read_layer(layer_path(dir, i), i));
  TRY(all.sort());
  for (Topmost name_at(all); name_at.next();) {
    const KernelDirent& record = all.record(name_at.index());
    const uint32_t layer = Gather::layer_of(record);
    if (layer == 0) continue;  // a whiteout
    Judge* judge = TRY(judges.of(layer));
    if (!TRY(judge->hidden(Gather::name_of(record), record.d_type))) return false;
  }
  return true;
}

}  // namespace ovl
