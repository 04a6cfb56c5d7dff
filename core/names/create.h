// Making a name, atomically, whatever stands in its place in the upper. Kernel counterpart:
// ovl_create_upper(), ovl_create_over_whiteout().
#pragma once

#include "core/names/place.h"

namespace ovl {

// What is to be made. make() does the system call at a real path that nothing is at.
class Creation {
 public:
  enum class Kind : uint8_t {
    kDirectory,
    kClosedDirectory,  // of a mode that keeps its owner out: the real one does not, and what it
                       // shows is recorded
    kOther,
    kLink,  // inherits nothing from the directory
  };
  explicit Creation(Kind kind) : kind_(kind) {}
  Kind kind() const { return kind_; }
  bool directory() const { return kind_ == Kind::kDirectory || kind_ == Kind::kClosedDirectory; }
  virtual Result<void> make(CStr real) = 0;
  // Else it is made in the workdir, and renamed.
  virtual bool can_make(CStr) const { return true; }

 protected:
  ~Creation() = default;

 private:
  const Kind kind_;
};

// Requires: a Mutation with the directory locked; may_create(). On failure nothing has changed.
// Errors: what the system call gives.
Result<void> create_at(Op& op, const Place& place, Creation& creation);

// The whole operation on one name that target.find() has found in an overlay: checks, locks, looks
// again, creates. Errors: kLookAgain.
Result<void> create_name(Op& op, NamePath& target, Creation& creation);

}  // namespace ovl
