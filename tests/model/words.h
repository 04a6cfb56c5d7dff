// The words of a script: how names with any bytes, flags and error numbers are written as text
// without spaces.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

namespace model {

// Printable bytes stand for themselves, others are \xNN; the empty string is "".
std::string escape(std::string_view bytes);
std::string unescape(std::string_view word);
std::vector<std::string> split(std::string_view line);

// Names of flags joined by "|", or a number ("0644", "12", "-1").
long number(std::string_view word);

std::string error_name(int error);
std::string octal(unsigned long value);
uint64_t hash(std::string_view bytes);

}  // namespace model
