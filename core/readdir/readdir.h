// Directory listings. A directory that shows entries of one layer only is read as it is (whiteouts
// and private names filtered); a merged one is a snapshot ordered by a hash of the names, and a
// position is the hash of the next name: stable while entries come and go (as ext4's htree order),
// and storable in the real descriptor's own offset, so that no table of descriptors is needed.
// Kernel counterpart: fs/overlayfs/readdir.c.
//
// A program may open a lower directory, read some of it natively, change it (so that it exists in
// the upper too), and read on from the same descriptor: rm -rf does. The offset then still is the
// lower's own, and since lowers never change, the lower's own stream goes on with what is left.
// Positions of merged listings have a form of their own (is_listing_position), so that the two are
// told apart by the offset alone.
#pragma once

#include "core/caller/op.h"
#include "core/readdir/mapping.h"
#include "core/walk/node.h"

namespace ovl {

struct DirEntry {
  uint64_t position;  // of this entry; a listing continues at the first entry >= a wanted position
  uint64_t ino;       // as programs see it: equals st_ino
  uint8_t type;       // DT_*
  uint16_t name_size;
  const char* name;  // NUL-terminated
};

// A snapshot of a directory of an overlay in memory of its own (mmap), "." and ".." first, then by
// position.
class MergedListing {
 public:
  MergedListing() = default;
  MergedListing(const MergedListing&) = delete;
  MergedListing& operator=(const MergedListing&) = delete;

  // Replaces what was loaded. Any directory, also one that shows a single layer. On failure nothing
  // is loaded. Errors: EACCES (a layer's directory is unreadable), ENOENT (gone meanwhile), ENOMEM,
  // what reading says.
  Result<void> load(Op& op, const Node& dir);
  void drop();
  void swap(MergedListing& other);

  bool loaded() const { return count_ != 0; }
  uint32_t size() const { return count_; }
  const DirEntry& operator[](uint32_t i) const { return entries()[i]; }
  // Index of the first entry with position >= `position`; size() when there is none.
  uint32_t index_of(uint64_t position) const;
  // Where a listing goes on behind entry i: d_off of that entry, telldir() after it.
  uint64_t next_position(uint32_t i) const;
  // Does entry i stand behind its own place, because another name's hash is the same? Then its
  // position depends on that name, which may go.
  bool pushed_up(uint32_t i) const;
  size_t memory() const { return records_.size() + entries_.size(); }
  // Would load() find the same names now? False too where that can't be told for sure.
  bool is_current(const Node& dir) const;

 private:
  // When the names in the upper were changed last, and whether a change since would tell another
  // time: clocks tick. Lowers never change.
  struct Stamp {
    bool in_upper = false;
    bool settled = false;
    uint64_t ino = 0;
    int64_t changed = 0;  // nanoseconds
    bool operator==(const Stamp&) const = default;
  };
  static Result<Stamp> stamp_of(const Node& dir);

  const DirEntry* entries() const { return static_cast<const DirEntry*>(entries_.data()); }
  Mapping records_;  // what getdents64 said of each layer; names point into it
  Mapping entries_;
  uint32_t count_ = 0;
  Stamp stamp_;
};

// Positions: 0 for ".", else a bit that is set, 32 bits of order (1 for "..", a hash of the name
// for the others), 8 bits that check them. Below 2^41, so that they fit the offsets of directories
// on ext2 and f2fs too, and orders don't use the last sixteenth of that.
constexpr uint64_t kEndPosition = uint64_t{0x1f1} << 32;
// Did a merged listing set this offset? Else it is a file system's own. An ext4 hash is taken for
// one of ours once in 2^31.
bool is_listing_position(uint64_t position);

// Is the directory readable as it is from one layer (filtering only)? Then dir.top() is its real
// path.
inline bool single_layer(const Node& dir) { return !dir.merged(); }
// Do the entries of this one of its lowers need no filtering?
bool is_plain(const Node& dir, const LowerRef& lower);
// Does getdents64(2) on dir.top() (a single layer) tell what programs are to see, with nothing to
// filter?
bool reads_natively(const Node& dir);

// Is the directory empty for programs (rmdir, rename over it)? Errors of reading.
Result<bool> shown_empty(Op& op, const Node& dir);

}  // namespace ovl
