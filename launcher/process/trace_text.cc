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
#include "core/ops/ops.def"
    default:
      return "?";
  }
}

struct Entry {
  TraceRecord record = {};
  std::string texts;  // without the stack
  std::string stack;
};

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
    if (frames.size() >= 2)
      places_[{std::string(frames[0]), call_name(record.number), std::string(entry(frames))}]++;
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
  // "function+0x1 (liba.so+0x11)" and "liba.so+0x11": "liba.so".
  static std::string_view object_of(std::string_view frame) {
    if (!frame.empty() && frame.back() == ')') frame.remove_prefix(frame.rfind(" (") + 2);
    return frame.substr(0, frame.rfind('+'));
  }

  // The function that could be wrapped: through which the library was entered that made the call.
  // What a program does in its own code it does where it does it.
  static std::string_view entry(const std::vector<std::string_view>& frames) {
    const std::string_view object = object_of(frames[1]);
    size_t last = 1;
    if (object.find(".so") != std::string_view::npos)
      while (last + 1 < frames.size() && object_of(frames[last + 1]) == object) last++;
    return frames[last];
  }

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

// One line for each call, though it may have two records.
class Text {
 public:
  explicit Text(FILE* out) : out_(out) {}

  void take(Entry entry) {
    const auto first = unfinished_.find(entry.record.task);
    if (first != unfinished_.end()) {
      if (!entry.record.before && entry.record.number == first->second.record.number)
        entry.stack = first->second.stack;
      else
        print(first->second);  // it never came back
      unfinished_.erase(first);
    }
    if (entry.record.before)
      unfinished_.emplace(entry.record.task, std::move(entry));
    else
      print(entry);
  }
  void end() {
    for (const auto& [task, entry] : unfinished_) print(entry);
    put(stacks_.sums());
  }

 private:
  void print(const Entry& entry) {
    put(line_of(entry.record, entry.texts.data()) + "\n" +
        stacks_.lines(entry.record, entry.stack));
  }
  void put(const std::string& text) { fwrite(text.data(), text.size(), 1, out_); }

  FILE* out_;
  Stacks stacks_;
  std::map<int32_t, Entry> unfinished_;  // by task, which has one call at a time
};

}  // namespace

void write_trace_text(int records, const std::string& file) {
  FILE* out = file.empty() ? stderr : fopen(file.c_str(), "we");
  if (out == nullptr) {
    complain(fmt::format("--trace={}: {}", quote(file), error_text(errno)));
    return;
  }
  const std::unique_ptr<FILE, int (*)(FILE*)> in(fdopen(dup(records), "re"), fclose);
  Text text(out);
  Entry entry;
  while (in != nullptr && fread(&entry.record, sizeof entry.record, 1, in.get()) == 1) {
    const TraceRecord& record = entry.record;
    const size_t size = size_t{record.path_size[0]} + record.path_size[1] + record.unreadable_size;
    if (record.size != sizeof record + size + record.stack_size) break;  // cut off by a full disk
    entry.texts.resize(size);
    entry.stack.resize(record.stack_size);
    if (fread(entry.texts.data(), 1, size, in.get()) != size) break;
    if (fread(entry.stack.data(), 1, entry.stack.size(), in.get()) != entry.stack.size()) break;
    text.take(entry);
  }
  text.end();
  if (out != stderr && fclose(out) != 0)
    complain(fmt::format("--trace={}: {}", quote(file), error_text(errno)));
}

}  // namespace ovl
