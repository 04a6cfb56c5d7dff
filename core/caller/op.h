// The context of one operation: who asks, the session, and memory for its duration. Lives on the
// stack of the op.
#pragma once

#include "core/base/arena.h"
#include "core/caller/caller.h"
#include "core/session/session.h"
#include "core/sys/scratch.h"

namespace ovl {

class Op {
 public:
  Op(Caller& caller, Session& session) : caller_(caller), session_(session) {}
  Caller& caller() const { return caller_; }
  Session& session() const { return session_; }
  Arena& arena() { return scratch_.arena(); }

 private:
  Caller& caller_;
  Session& session_;
  Scratch scratch_;
};

}  // namespace ovl
