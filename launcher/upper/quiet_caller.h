// Looks things up without a word on stderr: what a lookup complains about is told by who asked.
#pragma once

#include "core/caller/local_caller.h"

namespace ovl {

class QuietCaller final : public LocalCaller {
 public:
  void complain(Str line) override;
};

}  // namespace ovl
