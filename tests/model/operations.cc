#include "tests/model/operations.h"

namespace model {

const std::vector<Operation>& operations() {
  static const std::vector<Operation> table = {
#define OP(name, arguments, weight, effect, call) {#name, arguments, weight, effect},
#include "tests/model/operations.def"
#undef OP
  };
  return table;
}

const Operation* find_operation(std::string_view name) {
  for (const Operation& operation : operations())
    if (name == operation.name) return &operation;
  return nullptr;
}

}  // namespace model
