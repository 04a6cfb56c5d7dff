// The shared-memory segment of a session, as it stands in its file: <work>/ovlrun/session of the
// session's first overlay. The launcher writes the configuration part once; every process below it
// maps the file (MAP_SHARED) at its first path call and finds it through the environment variable
// OVLRUN_SESSION. Offsets, never pointers: processes map it at different addresses. All of it but
// the configuration is a cache or a lock: the file systems are the truth.
//
// Sessions nest. Each has a file with what it alone sees (Segment); what all those must share that
// may change the same uppers (SharedState) stands in the outermost one's file, behind its Segment.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <atomic>

#include "core/base/str.h"
#include "core/format/xattr_format.h"
#include "core/session/error_sequence.h"

namespace ovl {

constexpr uint32_t kSegmentMagic = 0x316c766f;  // "ovl1"
constexpr uint32_t kSegmentVersion = 10;
inline constexpr const char kSessionVariable[] = "OVLRUN_SESSION";
// A symbolic link, for readlink(2) alone, that only programs below ovlrun have: to the file of
// their session. It tells an inner launcher where it is, however it was started.
inline constexpr const char kSessionLink[] = "/proc/self/ovlrun";

constexpr uint32_t kMaxOverlays = 16;
constexpr uint32_t kMaxLayers = 512;
constexpr uint32_t kMaxExcludes = 256;
constexpr uint32_t kMaxMounts = 256;

enum class RedirectDir : uint8_t { kOn, kFollow, kNoFollow, kOff };
enum class Perm : uint8_t { kOwner, kPosix };

// A NUL-terminated string in the segment's string area.
struct StrRef {
  uint32_t offset;
  uint32_t size;
};

struct LayerConfig {
  StrRef root;         // real, canonical, absolute
  uint64_t dev;        // st_dev of the root
  uint8_t fs_index;    // 0: the file system whose st_dev the overlay shows; else a number per other
                       // file system
  uint8_t has_format;  // this layer may hold overlay xattrs (it is somebody's upper): look for them
  XattrFormat format;
  uint8_t indexed;   // 1: hard links of this lower stay linked, by the index of the workdir
  uint8_t is_erofs;  // 1: what it calls immutable is no flag, and its handles tell no inode numbers
  uint32_t source;   // index of the layer that this one is a directory of; its own: of none
  uint8_t uuid[16];  // of the root's file system, as it stands in origins; zeros: it has none
};

// A place below an inner overlay's root where the lower that it was given shows another overlay, or
// something native: that place's own lowers.
struct MountConfig {
  StrRef at;  // virtual
  uint32_t overlay;
  uint32_t first_layer;
  uint32_t lower_count;
};

struct OverlayConfig {
  StrRef at;             // where programs see it; canonical
  StrRef upper;          // real path of the upper; size 0: no upper, a read-only view
  StrRef work;           // real path of the workdir, "<work>/work" holds temporaries
  uint32_t first_layer;  // layers[first_layer] is the upper's LayerConfig, the lowers follow,
                         // topmost first, then those that give data alone
  uint32_t lower_count;
  uint32_t data_count;
  uint64_t shown_dev;  // st_dev of the whole overlay
  uint32_t id;         // of this overlay in all sessions that share a state
  uint32_t level;      // 0: of the outermost session, 1: of one inside it ...
  // What its upper, workdir and lowers are called in the session around; at level 0 that is what
  // they are.
  StrRef given_upper;
  StrRef given_work;
  uint32_t first_given;
  uint32_t given_count;
  RedirectDir redirect_dir;
  uint8_t metacopy;  // 0, 1
  Perm perm;
  uint8_t can_whiteout_device;  // mknod of 0:0 works in the upper
  uint8_t index;                // 0, 1: hard links of lowers stay linked, where their layer can
  uint8_t beside;       // 0, 1: what symlinks and special files can't carry stands beside the upper
  uint8_t is_volatile;  // 0, 1: nothing is written out for the programs' sake
  uint64_t errors_before;  // its error sequence as it began
};

// Bits of Segment::watch.
constexpr uint8_t kWatchTrace = 1;  // append a record to trace_path
constexpr uint8_t kWatchCount = 2;  // count Counter::kOps

// One futex word each: 0, or the owner's tid, as FUTEX_LOCK_PI uses it (session/lock.h).
using LockWord = std::atomic<uint32_t>;

constexpr uint32_t kTopologyShards = 16;
constexpr uint32_t kDirLocks = 1024;
constexpr uint32_t kCompletionLocks = 64;
constexpr uint32_t kInodeLocks = 64;
constexpr uint32_t kMovedMax = 4096;
constexpr uint32_t kMovedStrings = 1 << 20;

// One directory that a redirect moved: the lower path it has, and where programs see it
// (session/moved.h). Each field changes in one store. Strings are (offset into moved_strings) << 32
// | size.
struct MovedEntry {
  std::atomic<uint32_t> overlay;  // its id; 0 = free
  uint32_t pad;
  std::atomic<uint64_t> lower;  // relative to the lower roots: "/a/b"
  std::atomic<uint64_t> shown;  // relative to the overlay's root
};

// A file of a lower that is opened for reading under another name than it has there: a metacopy
// that was renamed (session/moved_file.h). Changes under an odd `sequence`, with moved_file_lock
// held.
constexpr uint32_t kMovedFiles = 4096;
constexpr uint32_t kMovedFileWords = 29;
struct MovedFile {
  std::atomic<uint32_t> sequence;
  std::atomic<uint32_t> size;                    // of the name
  std::atomic<uint64_t> key;                     // of the real path; 0: free
  std::atomic<uint64_t> words[kMovedFileWords];  // the name: a virtual path
  uint64_t pad;
};

// A directory of a lower, found to be one (and no symlink): true as long as the session lives,
// since the lower does not change. Written by whoever looks first, under an odd `sequence`; a
// writer that is killed leaves an entry that nobody reads again.
constexpr uint32_t kKnownDirectories = 4096;
constexpr uint32_t kKnownWords = 14;
struct KnownDirectory {
  std::atomic<uint32_t> sequence;
  std::atomic<uint32_t> size;
  std::atomic<uint64_t> words[kKnownWords];  // the real path
};

// One bit per hash of a lower file that somebody may have open to be read (session/readers.h).
constexpr uint32_t kReaderWords = 512;
constexpr uint32_t kStaleFiles = 256;
constexpr uint32_t kErrorSequences = 64;  // by an overlay's id; more than these share them
constexpr uint32_t kFollowLocks = 16;

enum class Counter : uint32_t {
  kOps,
  kCopyUps,
  kMetacopies,
  kCopiedBytes,
  kClonedBytes,
  kWhiteouts,
  kOpaques,
  kRedirects,
  kLockWaits,
  kCount
};

// What one session is, and caches of its own.
struct Segment {
  uint32_t magic;
  uint32_t version;
  uint64_t size;  // of the file
  uint32_t overlay_count;
  uint32_t exclude_count;
  uint32_t layer_count;
  uint32_t given_count;
  uint32_t mount_count;
  uint32_t level;           // 0: the outermost session
  uint8_t watch;            // kWatch...: what is done beside each operation
  uint8_t allow_uncovered;  // 1: programs that the preload can't follow run without the overlay
  uint8_t closed_roots;     // 1: the root of an overlay may not be searchable by its owner
  uint8_t supervised;       // 1: a supervisor answers for what does not come through the gate
  uint8_t preload;          // 1: programs get the preload object
  uint8_t strict;           // 1: --strict, for who joins it
  uint8_t any_volatile;     // 1: one of the overlays is
  uint8_t pad[1];
  OverlayConfig overlays[kMaxOverlays];
  LayerConfig layers[kMaxLayers];
  StrRef given[kMaxLayers];
  MountConfig mounts[kMaxMounts];
  StrRef excludes[kMaxExcludes];  // virtual paths whose subtrees are not this level's
  uint32_t exclude_levels[kMaxExcludes];
  StrRef preload_path;  // of the preload object
  StrRef trace_path;
  StrRef outermost;       // file of the session that has the shared state; size 0: this one
  uint64_t state_offset;  // of the SharedState in that file; a multiple of any page size
  // From the segment's start. What every process reads stands together: the strings follow the
  // configuration, and the caches them.
  uint32_t strings_offset;
  uint32_t strings_size;
  uint64_t known_offset;  // of KnownDirectory[kKnownDirectories]

  // --- what changes while the session lives ---
  std::atomic<uint32_t>
      unportable;  // bit per overlay: its upper carries the mark (a cache of that)
  std::atomic<uint32_t> command_ended;  // 1: what is left of the session is what that left running
  std::atomic<uint64_t> counters[static_cast<size_t>(Counter::kCount)];

  KnownDirectory* known_directories() const {
    return reinterpret_cast<KnownDirectory*>(reinterpret_cast<uintptr_t>(this) + known_offset);
  }
  CStr str(StrRef r) const {
    return CStr(reinterpret_cast<const char*>(this) + strings_offset + r.offset, r.size);
  }
};

// An inner session, for the supervisor, which has to find out in which one a task is. Written by
// its keeper; everything but the keeper's number is in place before that is stored.
constexpr uint32_t kMaxViews = 64;
constexpr uint32_t kViewTaken = UINT32_MAX;  // for `keeper`: somebody is writing
struct InnerView {
  std::atomic<uint32_t> keeper;  // process; 0: free
  uint32_t front;
  uint64_t keeper_start, front_start;  // field 22 of /proc/<pid>/stat
  uint64_t serial;                     // of all that there have been
  uint32_t first_overlay;              // ids of its own overlays
  uint32_t overlay_count;
  char file[1024];  // of the session
};

// What sessions that lie inside one another share.
struct SharedState {
  alignas(64) LockWord topology[kTopologyShards];
  alignas(64) LockWord dirs[kDirLocks];
  alignas(64) LockWord
      completions[kCompletionLocks];         // by inode of the upper file whose data is on its way
  alignas(64) LockWord inodes[kInodeLocks];  // by the origin of a file that an index has, or gets
  alignas(64) std::atomic<uint64_t> epoch;   // odd while a directory is moved or removed, then the
                                             // next even number
  std::atomic<uint64_t> shown_started;  // changes of what programs see of some object: begun, and
                                        // done (session/plain.h)
  std::atomic<uint64_t> shown_finished;
  std::atomic<uint64_t> names_started;  // changes of names: begun, and done (session/name_watch.h)
  std::atomic<uint64_t> names_finished;
  std::atomic<uint32_t> temp_counter;  // names of temporaries
  std::atomic<uint32_t> overlay_ids;   // given out so far
  std::atomic<uint32_t> index_used;    // 1: the index of some workdir may have an entry
  std::atomic<uint32_t> beside_used;   // 1: some workdir has a companion (walk/beside.h)
  std::atomic<uint32_t> broken_links;  // 1: one whose lower's file may have readers was broken
  std::atomic<uint32_t> kept_used;     // 1: files without names stay in some workdir
  std::atomic<uint32_t> closed_directories;  // 1: a directory of an upper may not be searchable by
                                             // its owner (Segment::closed_roots)
  std::atomic<uint32_t> metacopies;          // 1: some upper may have one
  alignas(64)
      std::atomic<uint32_t> moved_count;  // entries from here on are free; changes under topology
  std::atomic<uint32_t>
      moved_version;            // bumped before memory that was in use is used for something else
  uint32_t moved_strings_used;  // session/moved.cc
  MovedEntry moved[kMovedMax];
  char moved_strings[kMovedStrings];

  // Descriptors that were opened to read a lower's file whose data is copied up: such changes
  // begun, and done, and all copies of data.
  alignas(64) std::atomic<uint64_t> stale_started;
  std::atomic<uint64_t> stale_finished;
  std::atomic<uint64_t> data_copies;
  // By the number of the change: that, and a hash of the file (readers.cc).
  std::atomic<uint64_t> stale_files[kStaleFiles];
  LockWord follow[kFollowLocks];     // by process (ops/follow.h)
  std::atomic<uint32_t> held_files;  // open files that supervisors hold for those who will follow
  alignas(64) std::atomic<uint64_t> readers[kReaderWords];

  // Errors of writing to the uppers that no call was waiting for, or that concern more than the one
  // that was.
  alignas(64) ErrorSequence errors[kErrorSequences];
  std::atomic<uint32_t> changed;  // 1: something was, or may have been, written to some upper

  alignas(64) LockWord moved_file_lock;
  std::atomic<uint32_t> moved_file_count;  // entries that were ever taken
  MovedFile moved_files[kMovedFiles];

  alignas(64) std::atomic<uint32_t> view_count;  // inner sessions that there are
  std::atomic<uint64_t> view_serial;             // and have been
  InnerView views[kMaxViews];
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(sizeof(LockWord) == 4, "a futex word");

}  // namespace ovl
