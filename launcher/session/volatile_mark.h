// "<work>/work/incompat/volatile/dirty": a volatile session is at work, or did not end cleanly, and
// what it wrote may be lost or torn. The kernel's overlayfs has the same mark (
// ovl_create_volatile_dirty()) and refuses an upper that has it.
#pragma once

#include <string>

#include "launcher/session/created.h"

namespace ovl {

constexpr const char kVolatileName[] = "volatile";  // in "<work>/work/incompat"
std::string volatile_mark(const std::string& work);
// Also where the kernel has left the directories above it closed to their owner.
bool has_volatile_mark(const std::string& work);
// Is on disk when this returns. What it made is told to `created`. Throws Failure.
void make_volatile_mark(const std::string& work, Created& created);
// Requires: what was written is on disk. Throws Failure.
void remove_volatile_mark(const std::string& work);

}  // namespace ovl
