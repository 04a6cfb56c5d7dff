// The table of operations.def without its calls.
#pragma once

#include <array>
#include <string_view>
#include <vector>

namespace model {

struct Operation {
  const char* name;
  const char* arguments;
  int weight;
  char effect;
};

const std::vector<Operation>& operations();
const Operation* find_operation(std::string_view name);

}  // namespace model
