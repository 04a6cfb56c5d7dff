// Names of one lower file that are copied up one after the other, and stay names of one file. The
// copy has a name in the workdir too until all is done, so that it is found again after a kill. The
// start of a session removes that, as all temporaries: what it then changes of the one name is no
// other's.
#pragma once

#include <string>

#include "core/walk/node.h"

namespace ovl {

class SettledLinks {
 public:
  SettledLinks(std::string dir, std::string upper)
      : dir_(std::move(dir)), upper_(std::move(upper)) {}

  // Gives the copy of the same file, if there is one, this name too. False: there is none. `rel`:
  // the name, below the upper. Throws Failure, as the others.
  bool link(const Node& lower, const std::string& rel);
  // Around the copying up of the first name.
  void will_copy(const Node& lower, const std::string& rel);
  void copied(const Node& lower, const std::string& rel);
  void remove();

 private:
  std::string place_of(const Node& lower) const;
  const std::string dir_, upper_;
  bool made_ = false;
};

}  // namespace ovl
