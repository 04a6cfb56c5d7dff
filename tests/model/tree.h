// Makes the layers of a sequence, and tells whether they are as they were made.
#pragma once

#include <string>

#include "tests/model/sequence.h"

namespace model {

struct Owner {
  unsigned uid;
  unsigned gid;
};

// Makes one layer's entries below `root`, which is there. `tree` is what {T} stands for.
void make_layer(const Sequence& sequence, int layer, const std::string& root,
                const std::string& tree, Owner owner);

// Changes with anything below the directory that is no access time.
uint64_t fingerprint(const std::string& directory);

// Removes a tree, however deep and whatever its modes.
void remove_tree(const std::string& path);

}  // namespace model
