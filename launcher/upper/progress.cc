// See progress.h.
#include "launcher/upper/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "launcher/failure.h"

namespace ovl {
namespace {

constexpr long kBetween = 100;  // milliseconds

long milliseconds_since(const struct timespec& then, const struct timespec& now) {
  return (now.tv_sec - then.tv_sec) * 1000 + (now.tv_nsec - then.tv_nsec) / 1'000'000;
}

size_t terminal_width() {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// As many bytes as fit on the line: a line that wraps could not be written over. A path in another
// script than Latin takes more bytes than columns; then less of it is shown.
std::string cut(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most > 3 ? most - 3 : 0;
  while (end > 0 && (text[end] & 0xc0) == 0x80) end--;
  return text.substr(0, end) + "...";
}

// "12.3 MiB".
std::string size_text(uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); unit++) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace

Progress::Progress(const std::string& command, bool verbose,
                   const volatile sig_atomic_t* interrupted)
    : command_(command),
      verbose_(verbose),
      terminal_(!verbose && isatty(STDERR_FILENO) == 1),
      interrupted_(interrupted) {}

Progress::~Progress() { clear(); }

void Progress::did(const char* what, const std::string& path, uint64_t bytes) {
  if (interrupted_ != nullptr && *interrupted_ != 0) fail("{}: interrupted", command_);
  objects_++;
  bytes_ += bytes;
  if (verbose_) complain(fmt::format("{}: {} {}", command_, what, quote(path)));
  if (!terminal_) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (shown_ && milliseconds_since(last_, now) < kBetween) return;
  last_ = now;
  show(fmt::format("{} objects, {}: {} {}", objects_, size_text(bytes_), what, quote(path)));
}

void Progress::begins(const char* what) {
  if (terminal_)
    show(fmt::format("{} objects, {}: {}", objects_, size_text(bytes_), what));
  else if (verbose_)
    complain(fmt::format("{}: {}", command_, what));
}

void Progress::show(const std::string& text) {
  const std::string line =
      "\r" + cut(fmt::format("ovlrun: {}: {}", command_, text), terminal_width() - 1) + "\033[K";
  (void)!write(STDERR_FILENO, line.data(), line.size());
  shown_ = true;
}

void Progress::clear() {
  if (!shown_) return;
  (void)!write(STDERR_FILENO, "\r\033[K", 4);
  shown_ = false;
}

}  // namespace ovl
