// Where the dynamic loader of a program finds libraries that are in an upper. The loader's own
// opens don't pass the preload, so a library that exists only in an upper, or was replaced there,
// has to be on a path that the kernel sees. The directories of uppers that stand for the loader's
// search directories go into LD_LIBRARY_PATH, in the order in which it would search: those of the
// program's RUNPATH, those of LD_LIBRARY_PATH, the default ones. What stays different from the
// kernel's overlayfs: libraries that were only deleted are still found, and RUNPATHs of libraries
// are not looked at.
#pragma once

#include "core/caller/op.h"
#include "core/exec/image.h"

namespace ovl {

// DT_RUNPATH (or DT_RPATH) of an ELF program; empty when there is none. Damaged ones count as none.
Result<CStr> run_path(Arena& arena, ByteSource& program);

// The value that LD_LIBRARY_PATH must have; data() == nullptr: as it is. `program`: virtual path of
// the executable, for $ORIGIN (empty: not known). `run_path`, `library_path`: lists separated by
// ':' (the latter by ';' too), possibly empty.
Result<CStr> library_path(Op& op, Str program, Str run_path, Str library_path);

}  // namespace ovl
