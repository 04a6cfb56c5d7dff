// How a command of the launcher gives up: one line on stderr and an exit status.
#pragma once

#include <fmt/format.h>
#include <sys/types.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ovl {

constexpr int kExitFailure = 125;        // ovlrun itself failed (as env(1) and timeout(1) do it)
constexpr int kExitNotExecutable = 126;  // the command was found but could not be run
constexpr int kExitNotFound = 127;       // the command was not found

class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& line, int status = kExitFailure)
      : std::runtime_error(line), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure(fmt::format(format, std::forward<Args>(args)...));
}

// "ovlrun: ..." as one line on stderr. Never fails: stderr may be closed.
void complain(const std::string& text);
// The same where this process may have no standard error any more: to that of the command, if it
// still has one.
void complain_through(pid_t command, const std::string& text);

// What errno says, for messages: "No such file or directory".
std::string error_text(int code);

// A path for messages and listings: as it is when plain, else so that a shell reads it back
// ($'a\nb').
std::string quote(std::string_view text);

}  // namespace ovl
