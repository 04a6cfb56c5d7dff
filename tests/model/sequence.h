// A sequence: the layers that it starts with, and the operations. As text it is what --replay
// reads:
//
//   # comments
//   variants owner|root            only for these (a regular expression over the names of variants)
//   tree LAYER KIND PATH MODE [ARGUMENT]
//   PROCESS OPERATION ARGUMENT...
//   PROCESS free OPERATION ARGUMENT...  such lines that follow one another are done by all
//   processes
//                                  at the same time, each in the order of its own; not by process 0
//   session                        the session ends here, and another goes on with what it left
//   session by-kernel              the same, and the kernel did the steps so far, in both uppers
//   (not where their xattrs differ) alone                          the uppers are not shown to the
//   other side
//
// Layer 0 is the topmost lower. {T} in a path stands for the absolute path of the tree. Kinds, and
// their arguments:
//   dir, fifo, sock, whiteout, opaque (a directory)
//   file SIZE:SEED[@POSITION] (data of that size at that position, before it a hole)
//   owner UID:GID (of what is there; root's alone)
//   hard OLDER-PATH (in the same layer), symlink TARGET, chr DEVICE, xattr NAME:VALUE (of what is
//   there already)
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace model {

struct Entry {
  int layer = 0;
  std::string kind;
  std::string path;  // below the layer's root
  unsigned mode = 0;
  std::string argument;
};

struct Sequence {
  std::string variants;
  std::vector<Entry> tree;
  std::vector<std::string> steps;  // as in the text; "session" is one
  bool alone = false;

  std::string text() const;
  static Sequence parse(std::string_view text);
  size_t operations() const;
};

bool ends_session(const std::string& step);

// The text with {T} replaced.
std::string with_tree(std::string text, const std::string& tree);

}  // namespace model
