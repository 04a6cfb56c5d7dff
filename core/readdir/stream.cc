// See stream.h.
#include "core/readdir/stream.h"

#include "core/readdir/position.h"

namespace ovl {
namespace {

// The kernel's ALIGN(offsetof(struct linux_dirent64, d_name) + namelen + 1, sizeof(u64)); the older
// form comes to the same.
size_t record_size(size_t name_size) {
  return (offsetof(KernelDirent, d_name) + name_size + 1 + 7) & ~size_t{7};
}

void put_record(char* at, const DirEntry& entry, uint64_t next) {
  const size_t size = record_size(entry.name_size);
  memset(at + size - 8, 0, 8);  // what pads the name
  auto* record = reinterpret_cast<KernelDirent*>(at);
  record->d_ino = entry.ino;
  record->d_off = static_cast<int64_t>(next);
  record->d_reclen = static_cast<uint16_t>(size);
  record->d_type = entry.type;
  memcpy(record->d_name, entry.name, entry.name_size);
  record->d_name[entry.name_size] = 0;
}

// Filters out[size] in place; returns what is left.
Result<size_t> filter(Op& op, Judge& judge, const Node& dir, char* out, size_t size) {
  size_t kept = 0;
  for (size_t at = 0; at < size;) {
    auto* record = reinterpret_cast<KernelDirent*>(out + at);
    const size_t record_bytes = record->d_reclen;
    const Str name(record->d_name, strlen(record->d_name));
    at += record_bytes;
    if (name == Str(".")) {
      record->d_ino = own_ino(dir);
    } else if (name == Str("..")) {
      record->d_ino = TRY(parent_ino(op, dir));
    } else {
      const Verdict verdict = TRY(judge.judge(name, record->d_type, record->d_ino, false));
      if (verdict.hidden) continue;
      record->d_ino = verdict.ino;
      record->d_type = verdict.type;
    }
    if (out + kept != reinterpret_cast<char*>(record)) memmove(out + kept, record, record_bytes);
    kept += record_bytes;
  }
  return kept;
}

}  // namespace

Result<size_t> fill_from_listing(const MergedListing& listing, uint64_t from, char* out,
                                 size_t room, uint64_t* next) {
  const uint32_t first = listing.index_of(from);
  uint32_t i = first;
  size_t used = 0;
  for (; i < listing.size(); i++) {
    const size_t size = record_size(listing[i].name_size);
    if (size > room - used) break;
    put_record(out + used, listing[i], listing.next_position(i));
    used += size;
  }
  if (i == first && i < listing.size()) return Error(EINVAL);
  // A chunk doesn't end in front of an entry that another one pushed up: when that one is removed
  // before the next chunk is read, the position of this one changes.
  while (i < listing.size() && listing.pushed_up(i) && i > first + 1) {
    i--;
    used -= record_size(listing[i].name_size);
  }
  *next = i < listing.size() ? listing[i].position : kEndPosition;
  return used;
}

Result<size_t> fill_from_layer(Op& op, const Node& dir, uint32_t index, int fd, char* out,
                               size_t room) {
  Judge judge(op, dir);
  TRY(judge.enter(index));
  for (;;) {
    const size_t size = TRY(op.caller().list_directory(fd, out, room));
    if (size == 0) return size_t{0};
    const size_t kept = TRY(filter(op, judge, dir, out, size));
    if (kept != 0) return kept;  // nothing would mean the end
  }
}

void to_short_positions(char* records, size_t size) {
  for (size_t at = 0; at < size;) {
    auto* record = reinterpret_cast<KernelDirent*>(records + at);
    const uint64_t next = short_position(static_cast<uint64_t>(record->d_off));
    record->d_off = static_cast<int64_t>(next);
    at += record->d_reclen;
  }
}

void to_old_form(char* records, size_t size) {
  constexpr size_t kName =
      offsetof(KernelDirent, d_type);  // struct linux_dirent has the name where the type is
  for (size_t at = 0; at < size;) {
    auto* record = reinterpret_cast<KernelDirent*>(records + at);
    const uint8_t type = record->d_type;
    memmove(records + at + kName, record->d_name,
            record->d_reclen - offsetof(KernelDirent, d_name));
    records[at + record->d_reclen - 1] = static_cast<char>(type);
    at += record->d_reclen;
  }
}

}  // namespace ovl
