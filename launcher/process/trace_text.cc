// See trace_text.h.
#include "launcher/process/trace_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/ops/ops.h"
#include "core/trace/trace.h"
#include "launcher/failure.h"

namespace ovl {
namespace {

const char* call_name(long number) {
  switch (number) {
#define OVL_OP(name, status, ...) \
  case SYS_##name:                \
    return #name;
#define OVL_LEGACY(name, target, ...)
#define OVL_NATIVE(name, why)
#define OVL_REFUSE(name, code, why)
#include "core/ops/ops.def"
#undef OVL_OP
#undef OVL_LEGACY
#undef OVL_NATIVE
#undef OVL_REFUSE
    default:
      return "?";
  }
}

std::string result_text(const TraceRecord& record) {
  if (record.before) return "";
  if (record.native) return " native";
  if (record.value >= 0 || record.value < -4095) return fmt::format(" = {}", record.value);
  const int code = static_cast<int>(-record.value);
  const char* name = strerrorname_np(code);
  return fmt::format(" = {} ({})", name != nullptr ? name : "?", error_text(code));
}

std::string line_of(const TraceRecord& record, const char* texts) {
  std::string arguments;
  for (const uint16_t size : record.path_size) {
    if (size > 0)
      arguments += (arguments.empty() ? "" : ", ") + quote(std::string_view(texts, size));
    texts += size;
  }
  if (record.fd != AT_FDCWD) arguments = fmt::format("{}", record.fd);
  std::string line = fmt::format("{} {}({}){}", record.task, call_name(record.number), arguments,
                                 result_text(record));
  if (record.unreadable_size > 0)
    line += fmt::format(": you may not read {}",
                        quote(std::string_view(texts, record.unreadable_size)));
  return line;
}

// The functions that a call came from, innermost first, below its own line; and how often, for each
// place, at the end.
class Stacks {
 public:
  std::string lines(const TraceRecord& record, std::string_view stack) {
    std::vector<std::string_view> frames = split(stack);  // the program's name comes first
    if (frames.size() >= 2 && !record.before)
      places_[{std::string(frames[0]), call_name(record.number), std::string(frames[1])}]++;
    std::string text;
    for (size_t i = 1; i < frames.size(); i++) text += fmt::format("    {}\n", frames[i]);
    return text;
  }
  // "make: 3 openat from libfoo.so+0x123, not interposed", the most frequent first.
  std::string sums() const {
    std::vector<std::pair<size_t, std::string>> sums;
    for (const auto& [place, count] : places_) {
      const auto& [program, call, frame] = place;
      sums.emplace_back(
          count, fmt::format("{}: {} {} from {}, not interposed\n", program, count, call, frame));
    }
    std::stable_sort(sums.begin(), sums.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::string text;
    for (const auto& [count, line] : sums) text += line;
    return text;
  }

 private:
  static std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      lines.push_back(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
  }

  std::map<std::tuple<std::string, std::string, std::string>, size_t> places_;
};

}  // namespace

void write_trace_text(int records, const std::string& file) {
  FILE* out = file.empty() ? stderr : fopen(file.c_str(), "we");
  if (out == nullptr) {
    complain(fmt::format("--trace={}: {}", quote(file), error_text(errno)));
    return;
  }
  const std::unique_ptr<FILE, int (*)(FILE*)> in(fdopen(dup(records), "re"), fclose);
  std::vector<char> texts;
  Stacks stacks;
  TraceRecord record;
  while (in != nullptr && fread(&record, sizeof record, 1, in.get()) == 1) {
    const size_t size = size_t{record.path_size[0]} + record.path_size[1] + record.unreadable_size +
                        record.stack_size;
    if (record.size != sizeof record + size) break;  // cut off by a full disk
    texts.resize(size);
    if (size > 0 && fread(texts.data(), size, 1, in.get()) != 1) break;
    const std::string_view stack(texts.data() + size - record.stack_size, record.stack_size);
    const std::string line = line_of(record, texts.data()) + "\n" + stacks.lines(record, stack);
    fwrite(line.data(), line.size(), 1, out);
  }
  const std::string sums = stacks.sums();
  fwrite(sums.data(), sums.size(), 1, out);
  if (out != stderr && fclose(out) != 0)
    complain(fmt::format("--trace={}: {}", quote(file), error_text(errno)));
}

}  // namespace ovl
