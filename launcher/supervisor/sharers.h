// Which tasks of the session have an open file that we have too? Kernel counterpart: f_count.
//
// Problem: nothing tells how many descriptors an open file has; one can only compare, by kcmp(2).
//
// How: all descriptors of all tasks below ovlrun. kcmp orders open files, so each of them is looked
// for among any number of ours by a few comparisons. It never waits, whatever a file is on.
//
// Not found: what is on its way through a socket, and what is mapped alone.
#pragma once

#include <sys/types.h>

#include <vector>

namespace ovl {

// A descriptor of a task.
struct Sharer {
  pid_t task;
  int fd;
};

// Are two descriptors one open file? False where that can't be told, or one of them is none.
bool is_same_open_file(int a, int b);
bool is_same_open_file(const Sharer& theirs, int own);

struct Sought {
  int own;  // descriptor
  bool found;
  Sharer by;
};
// Fills `found` and `by`. Called by the supervisor: looks at all descendants of it, and of `front`,
// its parent, but for these two and the keeper.
void find_sharers(pid_t front, std::vector<Sought>& all);

}  // namespace ovl
