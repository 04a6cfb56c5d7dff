// Makes sequences from numbers: the same seed, layers and switches give the same sequence.
#pragma once

#include <stdint.h>

#include <set>
#include <string>

#include "tests/model/sequence.h"

namespace model {

struct Wanted {
  uint64_t seed = 0;
  int layers = 1;
  bool as_root = false;
  unsigned owner = 65500;  // of the layers
  size_t operations = 60;
  int processes = 4;
  std::set<std::string> without;  // operations, and the features of features()
};

// What may be left out besides operations, with what each is.
struct Feature {
  const char* name;
  const char* what;
};
const std::vector<Feature>& features();

Sequence generate(const Wanted& wanted);

}  // namespace model
