// Where the segment of a session stands. Every task maps it and writes to it, and a page that the
// file system can't take is SIGBUS: on a disk that is full, or that has become read-only. So it
// stands in memory, and at its place in the workdir a link leads there.
#pragma once

#include <string>

namespace ovl {

// A new file's path in memory, for the link at `link`; empty: there is no such place here, and the
// segment has to stand at `link` itself. What an earlier session has left goes.
std::string segment_in_memory(const std::string& link);

// Takes the disk's room for all of the file, where the file system can. Errors: errno, or 0.
int take_room(const std::string& file);

// The link, and what it leads to.
void remove_segment(const std::string& link);

}  // namespace ovl
