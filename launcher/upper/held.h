// An upper that a command other than a session reads whole or changes: checked, and held as by a
// session.
#pragma once

#include <optional>
#include <string>

#include "launcher/session/config.h"
#include "launcher/session/created.h"
#include "launcher/session/lock.h"

namespace ovl {

// What the command line says of it, as canonical paths. `command` is for messages.
struct NamedUpper {
  std::string command;
  std::string upper, work;
  std::optional<RecordedConfig> recorded;  // of its last session
};
// Throws Failure when the upper is no directory, or this process is below another ovlrun (whose
// paths are not the real ones).
NamedUpper named_upper(const std::string& command, const std::optional<std::string>& upper,
                       const std::optional<std::string>& work);

class HeldUpper {
 public:
  // Throws Failure when somebody has it, or it is not ovlrun's to go on with. Touches nothing
  // before that is sure; what of the workdir is made for the lock goes again at the end.
  HeldUpper(const NamedUpper& named, XattrPrefix prefix);

 private:
  std::optional<UpperLock> lock_;
  Created created_;  // removed before the lock is given back
};

}  // namespace ovl
