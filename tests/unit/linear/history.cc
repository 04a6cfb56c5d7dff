// See history.h.
#include "tests/unit/linear/history.h"

#include <string.h>

#include <algorithm>

namespace linear {
namespace {

constexpr const char* kKindText[kKinds] = {
    "create", "open(O_CREAT)", "open(O_RDONLY)",    "open(O_RDWR)",     "open(O_TRUNC)",
    "stat",   "chmod",         "truncate",          "unlink",           "mkdir",
    "rmdir",  "rename",        "rename(NOREPLACE)", "rename(EXCHANGE)", "link",
    "list",
};

std::string of_facts(const Event& e) {
  const Facts& f = e.answer.facts;
  char text[96] = "";
  switch (e.call.kind) {
    case Kind::kStat:
      snprintf(text, sizeof text, "%s ino %u mode %o size %d links %d",
               f.type == Type::kDirectory ? "directory" : "file", f.inode, f.mode, f.size, f.links);
      break;
    case Kind::kOpenRead:
    case Kind::kOpenWrite:
    case Kind::kOpenCreate:
      snprintf(text, sizeof text, "%s content %d size %d",
               f.type == Type::kDirectory ? "directory" : "file", f.tag, f.size);
      break;
    default:
      break;
  }
  std::string all = text;
  if (e.call.kind == Kind::kList)
    for (int i = 0; i < kNames; i++)
      if ((e.answer.listed >> i & 1) != 0) all += std::string(" ") + kNameText[i];
  return all;
}

}  // namespace

bool takes_two_paths(Kind kind) {
  return kind == Kind::kRename || kind == Kind::kRenameNoReplace || kind == Kind::kExchange ||
         kind == Kind::kLink;
}

std::string to_text(const Call& call) {
  const auto of = [](const Path& p) { return p.depth == 0 ? std::string("/") : p.text(); };
  std::string text = std::string(kKindText[static_cast<int>(call.kind)]) + " " + of(call.path);
  if (takes_two_paths(call.kind)) text += " " + of(call.to);
  char value[16] = "";
  switch (call.kind) {
    case Kind::kCreate:
    case Kind::kOpenCreate:
    case Kind::kMkdir:
    case Kind::kChmod:
      snprintf(value, sizeof value, " %o", call.value);
      break;
    case Kind::kTruncate:
      snprintf(value, sizeof value, " %d", call.value);
      break;
    default:
      break;
  }
  return text + value;
}

std::string to_text(const History& history) {
  History sorted = history;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Event& a, const Event& b) { return a.invoked < b.invoked; });
  const uint64_t first = sorted.empty() ? 0 : sorted[0].invoked;
  std::string text;
  for (const Event& e : sorted) {
    char head[64];
    snprintf(head, sizeof head, "  task %-2d %4lu-%-4lu ", e.task, e.invoked - first,
             e.returned - first);
    text += head + to_text(e.call) + " = " +
            (e.answer.error != 0 ? strerrorname_np(e.answer.error) : of_facts(e)) +
            (e.answer.strange ? " STRANGE" : "") + "\n";
  }
  return text;
}

}  // namespace linear
