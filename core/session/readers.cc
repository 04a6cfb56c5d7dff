// See readers.h. Sequentially consistent: who opens sets the bit and then looks for copies, who
// copies tells of the copy and then looks at the bit. One of the two sees the other.
#include "core/session/readers.h"

namespace ovl {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;

uint64_t hash(const StatX& file) {
  const uint64_t dev = uint64_t{file.stx_dev_major} << 32 | file.stx_dev_minor;
  uint64_t h = (dev * 0x9e3779b97f4a7c15u) ^ file.stx_ino;
  h *= 0xff51afd7ed558ccdu;
  return h ^ (h >> 32);
}

std::atomic<uint64_t>& word_of(const Session& session, uint64_t h) {
  return session.state().readers[h / 64 % kReaderWords];
}

constexpr uint64_t bit_of(uint64_t h) { return uint64_t{1} << (h % 64); }

// Of a change in the list. 0: of any file.
uint32_t short_hash(const StatX& file) { return static_cast<uint32_t>(hash(file) >> 32) | 1; }
constexpr uint64_t entry_of(uint64_t number, uint32_t file) { return number << 32 | file; }

void begin_stale(SharedState& state, uint32_t file) {
  const uint64_t number = state.stale_started.fetch_add(1, kOrder) + 1;
  state.stale_files[number % kStaleFiles].store(entry_of(number, file), kOrder);
}

}  // namespace

StaleFiles::StaleFiles(const Session& session, uint64_t after, uint64_t to) {
  any_ = to < after || to - after > kMost;
  for (uint64_t number = after + 1; !any_ && number <= to; number++) {
    const uint64_t entry = session.state().stale_files[number % kStaleFiles].load(kOrder);
    const auto file = static_cast<uint32_t>(entry);
    // Of another change: that one is on its way here, or was here.
    any_ = entry != entry_of(number, file) || file == 0;
    files_[count_++] = file;
  }
}

bool StaleFiles::may_have(const StatX& file) const {
  if (any_) return true;
  for (uint32_t i = 0; i < count_; i++)
    if (files_[i] == short_hash(file)) return true;
  return false;
}

uint64_t reader_stamp(const Session& session) { return session.state().data_copies.load(kOrder); }

bool note_reader(const Session& session, const StatX& file, uint64_t stamp) {
  if (!session.shared()) return true;
  const uint64_t h = hash(file);
  std::atomic<uint64_t>& word = word_of(session, h);
  // Mostly it is set: a line that is only read stays in every core's cache.
  if ((word.load(kOrder) & bit_of(h)) == 0) word.fetch_or(bit_of(h), kOrder);
  return session.state().data_copies.load(kOrder) == stamp;
}

bool may_have_readers(const Session& session, const StatX& file) {
  const uint64_t h = hash(file);
  return (word_of(session, h).load(kOrder) & bit_of(h)) != 0;
}

bool stale_settled(const Session& session, uint64_t count) {
  return session.state().stale_finished.load(kOrder) == count &&
         session.state().stale_started.load(kOrder) == count;
}

void look_for_stale_again(const Session& session) {
  if (session.state().stale_started.load(kOrder) == 0) return;
  begin_stale(session.state(), 0);
  session.state().stale_finished.fetch_add(1, kOrder);
}

DataChange::DataChange(const Session& session, const StatX* data)
    : session_(session), data_(data), noted_(data != nullptr && may_have_readers(session, *data)) {
  if (noted_) begin_stale(session.state(), short_hash(*data));
}

DataChange::~DataChange() {
  if (data_ == nullptr) return;
  SharedState& state = session_.state();
  state.data_copies.fetch_add(1, kOrder);
  if (!noted_ && may_have_readers(session_, *data_)) {
    noted_ = true;
    begin_stale(state, short_hash(*data_));
  }
  if (noted_) state.stale_finished.fetch_add(1, kOrder);
}

}  // namespace ovl
