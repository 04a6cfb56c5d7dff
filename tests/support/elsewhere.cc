// See elsewhere.h. (Compiled as the core is: without the type information that it lacks.)
#include "tests/support/elsewhere.h"

#include "core/caller/local_caller.h"

namespace ovl::testing {
namespace {

class Elsewhere final : public LocalCaller {
 public:
  bool has_own_descriptors() const override { return true; }
};

}  // namespace

Caller& elsewhere() {
  static Elsewhere caller;
  return caller;
}

}  // namespace ovl::testing
