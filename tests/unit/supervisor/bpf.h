// Runs a filter by hand: for architectures and instruction pointers that a test can't have.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

#include <optional>
#include <vector>

namespace ovl {

// What the kernel would do. nullopt: the program runs off its end or is none that the kernel takes.
std::optional<uint32_t> run_filter(const std::vector<sock_filter>& filter,
                                   const seccomp_data& call);

// What architecture and number alone decide, by the instructions that the kernel's own
// seccomp_is_const_allow() understands; nullopt when they don't.
std::optional<uint32_t> run_by_number(const std::vector<sock_filter>& filter, uint32_t architecture,
                                      uint32_t number);

}  // namespace ovl
