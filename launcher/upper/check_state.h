// What the parts of a check share: where they look, and what they have seen.
#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "launcher/upper/check.h"
#include "launcher/upper/quiet_caller.h"

namespace ovl {

using InodeKey = std::pair<uint64_t, uint64_t>;  // device, number
InodeKey key_of(const StatX& st);
inline bool is_whiteout_device(const StatX& st) {
  return S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
}
// Left by an operation that was killed? The kernel keeps the whiteout that its others are links to
// under such a name too.
bool is_temporary(const std::string& dir, const std::string& name);

// An inode that has several names, or did have them in the lower.
struct NamedInode {
  uint32_t names = 0;        // in the upper
  std::string first;         // of these, as programs see it
  uint32_t lower_nlink = 0;  // of what it was copied from; 0: not known
};

// An object of the upper or of the index.
struct Seen {
  std::string path;    // that the user knows
  std::string real;    // its own
  std::string marked;  // of what carries its marks
  StatX st;
  bool is_root = false;
  bool indexed = false;  // a name in the index
};

// Its marks, as far as they can be read.
struct Marks {
  PrivSet has;
  bool damaged = false;  // something is found already that keeps from judging more
  Opaque opaque = Opaque::kNo;
  std::string redirect, metacopy, nlink;
  std::optional<std::string> origin;
  std::optional<FileHandle> origin_handle;  // where it is known
  bool ends_below() const { return opaque == Opaque::kOpaque || has.has(Priv::kFuseOpaque); }
};

struct CheckState {
  CheckState(const UpperSource& from, Below is_below)
      : source(from), below(is_below), view(from, true, View::Index::kFollowed) {}

  void add(Finding finding) { report.findings.push_back(std::move(finding)); }
  void unchecked(const std::string& path, int error);
  // What is there would be misread by a kernel mount of a user.
  void refers(const std::string& path) {
    if (!refers_to_lower || path < *refers_to_lower) refers_to_lower = path;
  }
  const Overlay& overlay() const { return view.overlay(); }
  XattrFormat format() const { return overlay().format; }

  const UpperSource& source;
  const Below below;
  QuietCaller caller;
  View view;
  CheckReport report;

  std::map<InodeKey, NamedInode> inodes;
  std::set<std::string> companions;             // paths of those that belong to an object
  std::optional<std::string> refers_to_lower;   // what a kernel mount would misread: the first
  std::map<std::string, std::string> no_entry;  // with a link count of an index: origin to path
};

// Sets seen->marked, and reads and judges the marks.
Marks check_marks(CheckState& state, Seen* seen);

// A file's or directory's relation to the lowers. `node`: nullptr where the lookup has failed, with
// this error.
void check_directory(CheckState& state, const Seen& seen, const Marks& marks, const Node* node);
void check_file(CheckState& state, const Seen& seen, const Marks& marks, const Node* node,
                int error);
// Can a lookup tell more of a file than its marks do?
bool refers_to_lower(const Marks& marks);

// What a name in hexadecimal says.
std::string bytes_of(const std::string& hex);

void check_index(CheckState& state);  // after the upper: its names are counted
void check_workdir(CheckState& state);

}  // namespace ovl
