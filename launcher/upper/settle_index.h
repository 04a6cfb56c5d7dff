// Settling an upper whose workdir has an index of hard links: every name that shows an inode of the
// index comes to the upper, where links tell by themselves what belongs together. Then the index
// goes.
#pragma once

#include <stdint.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/caller/local_caller.h"
#include "launcher/upper/memory.h"
#include "launcher/upper/progress.h"
#include "launcher/upper/view.h"

namespace ovl {

class IndexSettler {
 public:
  // Throws Failure when the index holds what is not known. Touches nothing.
  IndexSettler(const UpperSource& source, SettleMemory& memory, Progress& progress);

  // Walks all that programs see: a name of a hard link may be anywhere in the lowers.
  void bring_names();
  // A file of the upper with a mark of an index: is there an entry of it, or did a kill leave that?
  void finish(const Node& file) const;
  // Requires: the names that came are on disk.
  void remove();

 private:
  bool empty() const { return entries_.empty(); }
  void look_into(const std::string& rel, std::vector<std::string>& todo);
  std::vector<std::string> names_of(const Node& dir);
  bool is_ours(CStr lower) const;
  void bring(const std::string& rel);
  void bring_directory(const std::string& rel);
  void note_links(Op& op, const Node& node);
  template <class Change>
  void quietly(const std::string& dir, Change change);

  const UpperSource& source_;
  SettleMemory& memory_;
  Progress& progress_;
  LocalCaller caller_;
  View view_;
  const std::string index_;
  std::set<std::string> entries_;
  std::map<std::string, uint32_t> lower_links_;  // by the entry's path: of what it was copied from
};

}  // namespace ovl
