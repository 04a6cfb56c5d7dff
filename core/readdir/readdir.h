// Directory listings. A directory that shows entries of one layer only is read as it is (whiteouts and private names
// filtered); a merged one is a snapshot ordered by a hash of the names, and a position is the hash of the next name: stable
// while entries come and go (as ext4's htree order), and storable in the real descriptor's own offset, so that no table
// of descriptors is needed. Kernel counterpart: fs/overlayfs/readdir.c.
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

struct DirEntry {
  uint64_t position;  // of this entry; a listing continues at the first entry >= a wanted position
  uint64_t ino;       // as programs see it: equals st_ino
  uint8_t type;       // DT_*
  uint16_t name_size;
  const char* name;   // NUL-terminated
};

// A snapshot of a merged directory in memory of its own (mmap), "." and ".." first.
class MergedListing {
 public:
  MergedListing() = default;
  ~MergedListing();
  MergedListing(const MergedListing&) = delete;
  MergedListing& operator=(const MergedListing&) = delete;

  Result<void> load(Op& op, const Node& dir);
  bool loaded() const { return entries_ != nullptr; }
  uint32_t size() const { return count_; }
  const DirEntry& operator[](uint32_t i) const { return entries_[i]; }
  // Index of the first entry with position >= `position`; size() when there is none.
  uint32_t index_of(uint64_t position) const;

 private:
  DirEntry* entries_ = nullptr;
  uint32_t count_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_size_ = 0;
};

constexpr uint64_t kEndPosition = (uint64_t{1} << 43) - 1;  // fits the offset of ext4 directories without htree too

// Is the directory readable as it is from one layer (filtering only)? Then *real is that directory's real path.
bool single_layer(const Node& dir);

// Is the directory empty for programs (rmdir, rename over it)? Errors of reading.
Result<bool> shown_empty(Op& op, const Node& dir);

}  // namespace ovl
