// Which files of the lowers somebody may have open to be read, and whether the data of one of them
// was copied up: then descriptors are stale, and have to follow (ops/follow.h). A bit per file, by
// hash, that is never taken back: one too many costs a look, nothing else. Kernel counterpart:
// none; its overlayfs asks for the real file at each read (ovl_real_file()).
#pragma once

#include <stdint.h>

#include "core/session/session.h"
#include "core/sys/sys.h"

namespace ovl {

// What note_reader() wants to have seen before the file was looked up.
uint64_t reader_stamp(const Session& session);
// Before a lower's file is opened to be read. False: data was copied up since the stamp, perhaps of
// this file: look again.
bool note_reader(const Session& session, const StatX& file, uint64_t stamp);
bool may_have_readers(const Session& session, const StatX& file);

// How often descriptors have become stale. 0: never, which most sessions stay at.
inline uint64_t stale_count(const Session& session) {
  return session.state().stale_started.load(std::memory_order_acquire);
}
// Is nobody between making descriptors stale and having done it? What is found until then may be
// stale again. (When the one was killed it stays so, and everybody goes on looking.)
bool stale_settled(const Session& session, uint64_t count);

// Which files' descriptors became stale by the changes after the count `after`, up to `to`: of many
// changes any may be, so that a process that has many descriptors does not look at each of them
// for each change.
class StaleFiles {
 public:
  StaleFiles(const Session& session, uint64_t after, uint64_t to);
  bool may_have(const StatX& file) const;

 private:
  static constexpr uint32_t kMost = 64;
  bool any_;
  uint32_t count_ = 0;
  uint32_t files_[kMost];
};

// Copies that were made before can be found where they could not.
void look_for_stale_again(const Session& session);

// Around the step by which the copy of a lower file's data becomes what programs see.
class DataChange {
 public:
  // The lower's file that has the data; nullptr: no data comes.
  DataChange(const Session& session, const StatX* data);
  ~DataChange();
  DataChange(const DataChange&) = delete;
  DataChange& operator=(const DataChange&) = delete;

 private:
  const Session& session_;
  const StatX* const data_;
  bool noted_;
};

}  // namespace ovl
