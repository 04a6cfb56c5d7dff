// What /proc/<task>/maps, smaps and numa_maps tell: the files that a task has mapped, by their real
// paths. Programs get the same text with the paths (and device and inode) that they know. Kernel
// counterpart: fs/proc/task_mmu.c, show_map_vma(), show_numa_map().
#pragma once

#include "core/caller/op.h"

namespace ovl {

// Opens the list `name` (is_mapping_list) for the caller. flags: of open(2), for reading. Native:
// there is nothing in it that programs know by another name, or it can't be read; the kernel's own
// is right. The text is that of the moment of the open.
Outcome open_mapping_list(Op& op, CStr name, int flags);

// The name that such a descriptor has for programs, from the text of its magic link. Empty: it is
// none.
Str shown_list_name(Str link);

}  // namespace ovl
