// What the dynamic loader asks of each file that it has opened, known by where it asks it: the
// filter can let that pass.
//
// It is newfstatat(fd, "", AT_EMPTY_PATH), three times and more in each start of a program; and for
// a filter, which sees numbers alone, it may as well be a path. But the call has its place in the
// loader, and so has the empty string: the one stands at a distance from the other that nobody else
// has, at any address that the loader is loaded to. That the string is empty has been seen in the
// file.
//
// The loader is told what the kernel knows of the file, not what programs would be told. It looks
// at the size (which is that of the data it reads), and compares device and inode number with those
// of the objects that it has: equal ones are one file, which is what it wants to know.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>

namespace ovl {

struct LoaderCall {
  uint32_t in_page;    // where in its page the instruction behind the call is
  uint32_t to_string;  // from there to the string
};

// In the dynamic loader of this file, for this machine; nothing: it does it in another way.
std::optional<LoaderCall> find_loader_call(const std::string& file);

// Where programs of this machine have theirs.
inline constexpr const char* kUsualLoader = "/lib64/ld-linux-x86-64.so.2";

}  // namespace ovl
