// procfs's magic links: /proc/<task>/{cwd,root,exe}, /proc/<task>/fd/<n>, map_files. Their text is
// only a hint; what they lead to is an object. Kernel counterpart: proc_pid_get_link().
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

struct Magic {
  bool is_magic = false;
  const Node* node = nullptr;  // the object by its name; nullptr: it has none (a pipe, deleted)
  Orphan orphan;               // a lower's object that was unlinked or replaced in the overlay
};

// `link` is a real symlink outside every overlay, `text` what it reads.
Result<Magic> magic_target(Op& op, CStr link, Str text);

// Is this path the name of a magic link?
bool is_magic_name(Str path);

// Is it the name of a list of what a task has mapped, which names files by their real paths?
bool is_mapping_list(Str path);

}  // namespace ovl
